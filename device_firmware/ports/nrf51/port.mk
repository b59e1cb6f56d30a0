# BBC micro:bit v1: Nordic nRF51822-QFAA, Cortex-M0 at 16 MHz, 256 KB of flash, 16 KB of RAM.
CPU_FLAGS := -mcpu=cortex-m0
FLASH_ORIGIN := 0x00000000
FLASH_BYTES := 0x40000
RAM_ORIGIN := 0x20000000
RAM_BYTES := 0x4000
STACK_BYTES := 2048
# The nRF51 has no SysTick.
IDLE_SOURCE := ports/nrf51/idle.c
PORT_SOURCES := ports/nrf51/port.c
include ports/shared/cortex_m/cortex_m.mk
