# The Arm MPS2 and MPS3 boards as QEMU models them.
STACK_BYTES := 8192
CFLAGS += -Iports/shared/mps
PORT_SOURCES += ports/shared/mps/mps.c
include ports/shared/cortex_m/cortex_m.mk
