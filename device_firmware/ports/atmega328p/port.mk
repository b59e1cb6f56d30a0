# Arduino Uno: ATmega328P, 16 MHz, 32 KB of flash less 512 bytes of bootloader (optiboot), 2 KB of RAM.
CROSS_AVR ?= avr-
CC := $(CROSS_AVR)gcc
STACK_BYTES := 592
FLASH_BYTES := 0x7e00
RAM_BYTES := 2048
# The others count on an int of 32 bits (window.h), or on more RAM than there is.
KERNELS := fc_s8 softmax_s8
RUNTIME_SOURCES := runtimes/plan/plan.c $(KERNELS:%=runtimes/plan/kernels/portable/%.c) \
	runtimes/plan/kernels/kernels.c
O3_SOURCES = $(KERNELS:%=runtimes/plan/kernels/portable/%.c)
# gnu99: the address space __flash. Inlining costs what is short here: stack (the frames of all that is
# inlined into the command loop add up) and flash.
CFLAGS = -Os -std=gnu99 -mmcu=atmega328p -DF_CPU=16000000UL -ffunction-sections -fdata-sections \
	-fno-jump-tables -fno-inline-functions-called-once -fno-inline-small-functions -mcall-prologues -mrelax \
	'-DHB_KERNELS(X)=$(foreach kernel,$(KERNELS),X($(kernel)))'
LDFLAGS += -T ports/atmega328p/image.ld -Wl,--fatal-warnings \
	-Wl,--defsym=HB_FLASH_BYTES=$(FLASH_BYTES) -Wl,--defsym=HB_RAM_BYTES=$(RAM_BYTES) \
	-Wl,--defsym=HB_STACK_BYTES=$(STACK_BYTES)
LDLIBS =
PORT_SOURCES := ports/atmega328p/port.c
RESIDENT_SOURCE =
