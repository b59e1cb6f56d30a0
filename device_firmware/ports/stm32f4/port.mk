# STM32F405RG as on the Netduino Plus 2: Cortex-M4F, 1 MB of flash, 128 KB of SRAM. The 64 KB of CCM
# at 0x10000000 stay unused: QEMU 7.2 has no memory there, and one image serves both.
CPU_FLAGS := -mcpu=cortex-m4 -mfloat-abi=hard -mfpu=fpv4-sp-d16
FLASH_ORIGIN := 0x08000000
FLASH_BYTES := 0x100000
RAM_ORIGIN := 0x20000000
RAM_BYTES := 0x20000
STACK_BYTES := 8192
PORT_SOURCES += ports/stm32f4/port.c ports/shared/cortex_m/receive.c
include ports/shared/cortex_m/cortex_m.mk
