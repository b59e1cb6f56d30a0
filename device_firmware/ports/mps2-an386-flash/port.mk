# mps2-an386 with its plan in flash, where it is executed in place: RAM holds the arena only, so models
# larger than RAM run. One image holds one plan; the host puts it there before it flashes.
CPU_FLAGS := -mcpu=cortex-m4 -mfloat-abi=hard -mfpu=fpv4-sp-d16
FLASH_ORIGIN := 0x00000000
FLASH_BYTES := 0x100000
RAM_ORIGIN := 0x20000000
RAM_BYTES := 0x40000
include ports/shared/mps/mps.mk
include ports/shared/cortex_m/plan_in_flash.mk
