# Cortex-M33F, all in the secure state. Memory of a Nordic nRF5340 (application core): 1 MB of flash,
# 512 KB of RAM.
CPU_FLAGS := -mcpu=cortex-m33 -mfloat-abi=hard -mfpu=fpv5-sp-d16
FLASH_ORIGIN := 0x10000000
FLASH_BYTES := 0x100000
RAM_ORIGIN := 0x38000000
RAM_BYTES := 0x80000
include ports/shared/mps/mps.mk
