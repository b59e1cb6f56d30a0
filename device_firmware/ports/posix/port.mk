# A host process, linked statically so that a wheel can carry it.
CC := $(or $(HOST_CC),gcc)
LDFLAGS += -static -no-pie
PORT_SOURCES := ports/posix/port.c
MAIN_SOURCE =
