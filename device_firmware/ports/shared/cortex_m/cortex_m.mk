# Compiler and linker settings of every Cortex-M image. A port.mk sets CPU_FLAGS and the five sizes in
# bytes, then includes this file. Paths are relative to device_firmware/.
CROSS ?= arm-none-eabi-
CC := $(CROSS)gcc

# -fno-move-loop-stores: gcc 12.2 duplicates a volatile store when it leaves a loop, so the last byte
# of every transmission would go out twice. tests/firmware_arm/test_move_loop_stores.py shows it.
CFLAGS += -mthumb $(CPU_FLAGS) -fno-move-loop-stores -Iports/shared/cortex_m
# newlib without nano.specs: only its memcpy family and libm arrive, and nano's memcpy is a byte loop.
LDFLAGS += -nostartfiles -T ports/shared/cortex_m/image.ld \
	-Wl,--defsym=HB_FLASH_ORIGIN=$(FLASH_ORIGIN) -Wl,--defsym=HB_FLASH_BYTES=$(FLASH_BYTES) \
	-Wl,--defsym=HB_RAM_ORIGIN=$(RAM_ORIGIN) -Wl,--defsym=HB_RAM_BYTES=$(RAM_BYTES) \
	-Wl,--defsym=HB_STACK_BYTES=$(STACK_BYTES) -Wl,--fatal-warnings
IDLE_SOURCE ?= ports/shared/cortex_m/idle_systick.c
PORT_SOURCES += ports/shared/cortex_m/startup.c ports/shared/cortex_m/cortex_m.c $(IDLE_SOURCE)
