# STM32L4R5ZI as on the NUCLEO-L4R5ZI, the reference board of MLPerf Tiny: Cortex-M4F, 2 MB of flash,
# 640 KB of RAM (SRAM1, SRAM2 through its alias, and SRAM3 follow each other).
CPU_FLAGS := -mcpu=cortex-m4 -mfloat-abi=hard -mfpu=fpv4-sp-d16
FLASH_ORIGIN := 0x08000000
FLASH_BYTES := 0x200000
RAM_ORIGIN := 0x20000000
RAM_BYTES := 0xA0000
STACK_BYTES := 8192
PORT_SOURCES += ports/stm32l4/port.c ports/shared/cortex_m/receive.c
include ports/shared/cortex_m/cortex_m.mk
