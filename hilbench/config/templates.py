"""The files that `hilbench init` writes; tests load them with the same reader as any other."""

from __future__ import annotations

_BOARDS = """\
# The boards of this bench. Every key is here; those behind a '#' show their default or an example.
# An unknown key is an error. active_ma is an assumption for the synthetic meter, not a measurement.
schema = 1

[board.native]            # the firmware as a process of this computer: needs nothing installed
firmware = "posix"        # port of the firmware image
emulator = "native"       # native | qemu; without it the board is a real one
flasher = "emulator"      # how the image gets onto the board
meter = "synthetic"       # none | synthetic (constant current: supply_v x active_ma x time)
supply_v = 1.0
active_ma = 10000.0       # mA while an inference runs; one desktop core of about 10 W
tags = ["emulated", "host"]

[board.m4]                # Cortex-M4 in QEMU: deterministic instruction counts, not a time
firmware = "mps2-an386"   # mps2-an385 M3 | mps2-an386 M4 | mps2-an500 M7 | mps2-an505 M33 | mps3-an547 M55
chip = "cortex-m4"        # compared with what the board says of itself
emulator = "qemu"
flasher = "emulator"
meter = "synthetic"
supply_v = 3.3
active_ma = 2.5
tags = ["emulated", "cortex-m"]

# [board.mine]            # a real board; `hilbench boards scan` prints tables for what is plugged in
# firmware = "stm32l4"
# chip = "stm32l4r5"      # compared with what the board says of itself
# baud = 115200
# supply_v = 3.3          # energy is voltage times charge
# supply_max_v = 3.6      # what the board bears; needed where a meter supplies it
# powered_ma = 0.5        # with power it draws at least this much: below it nothing is measured
# tags = ["desk"]
# notes = "unit 2, blue wire"
# [board.mine.serial]     # all keys given must match; or serial = "/dev/…", "rfc2217://…", "socket://…"
# vid = "0483"
# pid = "374b"
# serial_number = "066AFF303435554157113106"   # ids are strings: 0123 is no number in TOML
# interface = "2"         # one device, several ports
# location = "1-1.2"      # USB socket, where serial numbers are all alike
# [board.mine.flasher]    # or just flasher = "openocd"
# tool = "command"        # docs/flashers.md has the others
# probe_serial = "066AFF303435554157113106"
# target = "stm32l4r5zi"
# args = []               # of the other tools: further options
# verify = true
# command = ["STM32_Programmer_CLI", "-c", "port=SWD", "sn={probe}", "-w", "{image}", "-v", "-rst"]
# expect = "Download verified successfully"    # what it prints when it worked
# [board.mine.power]      # how the board's supply is switched
# driver = "uhubctl"
# args = { location = "1-1", port = "2" }
# [board.mine.meter]      # or just meter = "none"; docs/energy.md
# driver = "ppk2"         # none | synthetic | ppk2 | lpm01a | joulescope | replay
# serial = { vid = "1915", pid = "c00a", serial_number = "E1D8A5C4F2B3" }
# supplies = true         # the meter is the board's supply; false: it is in series with it
# marker = "D0"           # its logic input at the board's marker pin; without it windows are searched
# args = {}               # of the driver
# [board.mine.quarantine] # the board is left alone
# reason = "flash wears out"
# until = 2030-01-31      # the first day that it is used again; without it: until this is removed
# [board.mine.timeouts]   # deadlines in seconds
# start_s = 10
# hello_s = 5
# reply_s = 5
# run_s = 120
# flash_s = 60

# [board.uno-live]        # an emulated board at an emulated meter: energy is injected, hence known
# firmware = "atmega328p"
# emulator = "simavr"
# supply_v = 5.0
# [board.uno-live.meter]
# driver = "ppk2"
# emulator = "ppk2"       # the emulated instrument that stands in
# [board.uno-live.current]
# idle_ma = 4.0
# active_ma = 9.0
# operators_ma = []       # of marked operators, in turn
# tail_us = 100.0         # time constant between board and meter
# noise_ma = 0.05
# drift_ma_per_s = 0.0
# clock_ppm = 0.0         # of the meter's clock
# seed = 1

# [board.rack-3]          # a board of another computer, behind a serial server
# firmware = "stm32l4"
# serial = "rfc2217://rack.example:4003?ign_set_control"
"""

_SUITE = """\
# What to measure. Paths are relative to this file. An unknown key is an error.
schema = 1

[suite]
name = "mine"
description = "one line for the report"
sessions = 3        # reset to reset; the unit of replication
warm_up = 1         # untimed inferences before the timed ones
iterations = 10     # timed inferences in each session

[vectors.test]
file = "vectors.npz"       # .npz with x [n, …] and y [n] | .npy with labels | folder of .bin + y_labels.csv
# labels = "labels.csv"    # .npy only: one label a line
# dtype = "int8"           # .bin only: int8 | uint8 | float32
quantise = "host"          # host: float vectors get the model's own scale on the host | offset128 | none
metric = "top1"            # top1 | auc | mse | none (then y is not needed)
# golden = "golden.npz"    # outputs of TensorFlow Lite Micro: outputs.VARIANT, int8 [n, …]

[variant.fp32]
model = "model_fp32.tflite"
vectors = "test"

[variant.int8]
model = "model_int8.tflite"
vectors = "test"
parent = "fp32"            # what it was compressed from
technique = "post-training quantisation"
"""


def boards_template() -> str:
    """Return a commented boards.toml."""
    return _BOARDS


def suite_template() -> str:
    """Return a commented suite.toml; the models and vectors that it names are the user's."""
    return _SUITE
