# VexRiscv (RV32IM, 4 KB instruction and 4 KB data cache) in RTL: hilbench/drivers/emulators/verilator_soc/
# has the memory map. As large as an STM32L476 less its flash: 512 KB and 256 KB.
RISCV_CROSS ?= riscv64-unknown-elf-
CC := $(RISCV_CROSS)gcc
FLASH_ORIGIN := 0x00000000
FLASH_BYTES := 0x80000
RAM_ORIGIN := 0x40000000
RAM_BYTES := 0x40000
STACK_BYTES := 8192

# -fno-move-loop-stores: gcc 12.2 duplicates a volatile store when it leaves a loop, on every target.
CFLAGS += -march=rv32im -mabi=ilp32 --specs=picolibc.specs -fno-move-loop-stores
LDFLAGS += -nostartfiles -T ports/riscv-vexriscv/image.ld \
	-Wl,--defsym=HB_FLASH_ORIGIN=$(FLASH_ORIGIN) -Wl,--defsym=HB_FLASH_BYTES=$(FLASH_BYTES) \
	-Wl,--defsym=HB_RAM_ORIGIN=$(RAM_ORIGIN) -Wl,--defsym=HB_RAM_BYTES=$(RAM_BYTES) \
	-Wl,--defsym=HB_STACK_BYTES=$(STACK_BYTES) -Wl,--fatal-warnings
PORT_SOURCES += ports/riscv-vexriscv/startup.c ports/riscv-vexriscv/port.c
