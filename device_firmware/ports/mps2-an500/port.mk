# Cortex-M7F, double precision. Memory of an STM32F767: 2 MB of flash, 512 KB of RAM.
CPU_FLAGS := -mcpu=cortex-m7 -mfloat-abi=hard -mfpu=fpv5-d16
FLASH_ORIGIN := 0x00000000
FLASH_BYTES := 0x200000
RAM_ORIGIN := 0x20000000
RAM_BYTES := 0x80000
include ports/shared/mps/mps.mk
