# Cortex-M55 with Helium (MVE). AN547 has 512 KB of ITCM for code; 1 MB of SRAM is the lower end of the
# M55 parts on sale (Alif Ensemble).
CPU_FLAGS := -mcpu=cortex-m55 -mfloat-abi=hard
FLASH_ORIGIN := 0x00000000
FLASH_BYTES := 0x80000
RAM_ORIGIN := 0x31000000
RAM_BYTES := 0x100000
include ports/shared/mps/mps.mk
