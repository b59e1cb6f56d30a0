# RP2040 as on the Raspberry Pi Pico: two Cortex-M0+, one of them used, 2 MB of flash behind a cache,
# 264 KB of RAM. The boot ROM wants 252 bytes of second stage and their CRC-32 before the image.
CPU_FLAGS := -mcpu=cortex-m0plus
FLASH_ORIGIN := 0x10000000
FLASH_BYTES := 0x200000
RAM_ORIGIN := 0x20000000
RAM_BYTES := 0x42000
STACK_BYTES := 8192
# SysTick is half of the counter.
IDLE_SOURCE := ports/rp2040/idle.c
BOOT2 := build/$(PORT)/boot2
PORT_SOURCES += ports/rp2040/port.c ports/shared/cortex_m/receive.c $(BOOT2).c
include ports/shared/cortex_m/cortex_m.mk

$(BOOT2).c: ports/rp2040/boot2.S ports/rp2040/boot2.py
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPU_FLAGS) -nostdlib -Wl,--build-id=none -Wl,-Ttext=0 -Wl,-e,0 -o $(BOOT2).elf $<
	$(Q)$(CROSS)objcopy -O binary -j .text $(BOOT2).elf $(BOOT2).bin
	$(Q)$(PYTHON) ports/rp2040/boot2.py $(BOOT2).bin > $@
