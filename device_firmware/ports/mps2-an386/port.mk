# Cortex-M4F. Memory of a Nordic nRF52840 (Arduino Nano 33 BLE): 1 MB of flash, 256 KB of RAM.
CPU_FLAGS := -mcpu=cortex-m4 -mfloat-abi=hard -mfpu=fpv4-sp-d16
FLASH_ORIGIN := 0x00000000
FLASH_BYTES := 0x100000
RAM_ORIGIN := 0x20000000
RAM_BYTES := 0x40000
include ports/shared/mps/mps.mk
