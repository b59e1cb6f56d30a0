# Cortex-M3, no FPU. Memory of a Realtek RTL8195A: 1 MB of code, 512 KB of SRAM. Most M3 parts have
# 64 to 128 KB; the larger one is chosen so that the zoo's float model fits on every board.
CPU_FLAGS := -mcpu=cortex-m3
FLASH_ORIGIN := 0x00000000
FLASH_BYTES := 0x100000
RAM_ORIGIN := 0x20000000
RAM_BYTES := 0x80000
include ports/shared/mps/mps.mk
