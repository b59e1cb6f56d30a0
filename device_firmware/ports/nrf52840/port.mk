# Nordic nRF52840: Cortex-M4F at 64 MHz, 1 MB of flash, 256 KB of RAM.
#
#   make PORT=nrf52840                             the nRF52840-DK, whole flash
#   make PORT=nrf52840 NRF52840_BOARD=nano33ble    Arduino Nano 33 BLE: behind its bootloader (64 KB),
#                                                  UART and marker on its own pins
NRF52840_BOARD ?= dk
CPU_FLAGS := -mcpu=cortex-m4 -mfloat-abi=hard -mfpu=fpv4-sp-d16
ifeq ($(NRF52840_BOARD),dk)
FLASH_ORIGIN := 0x00000000
FLASH_BYTES := 0x100000
else ifeq ($(NRF52840_BOARD),nano33ble)
FLASH_ORIGIN := 0x00010000
FLASH_BYTES := 0xF0000
CFLAGS += -DHB_NANO33BLE
else
$(error NRF52840_BOARD is $(NRF52840_BOARD); known: dk, nano33ble)
endif
RAM_ORIGIN := 0x20000000
RAM_BYTES := 0x40000
STACK_BYTES := 8192
# SysTick stands still while the nRF52 sleeps.
IDLE_SOURCE := ports/nrf52840/idle.c
PORT_SOURCES += ports/nrf52840/port.c ports/shared/cortex_m/receive.c
include ports/shared/cortex_m/cortex_m.mk
