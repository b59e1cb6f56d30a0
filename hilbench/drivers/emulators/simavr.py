"""An Arduino Uno in simavr: exact cycles, and flashed by the real avrdude through a bootloader.

The chip runs in a program of its own (simavr_runner/), paced to real time unless told otherwise.
"""

from __future__ import annotations

import contextlib
import os
import pty
import socket
import tempfile
import termios
import tty
from dataclasses import dataclass
from itertools import zip_longest

from hilbench.drivers.emulators import _simavr_build
from hilbench.drivers.emulators._deadline import Deadline
from hilbench.drivers.emulators._host_edges import HostEdges
from hilbench.drivers.emulators._process import EmulatorProcess, find_tool
from hilbench.drivers.emulators._segments import image_bytes, segments
from hilbench.errors import BoardError, ConfigError, FlashError, LinkError, ToolMissingError
from hilbench.records import BoardConfig, Edge, Image, TimeBase

CLOCK_HZ = 16_000_000
FLASH_BYTES = 32 * 1024
_ATTINY85 = 0x1E930B
_JUMP_TO_ITSELF = b"\xff\xcf"
_DEATH_GRACE_S = 1.0  # between a closed socket and an exit status
_WHO = "the simavr runner"
_CHOICES = {"pace": ("realtime", "free"), "reset_on_open": ("yes", "no")}
# Faults of a board, for tests of flashers: options of the runner, or what the bootloader does.
_FAULTS: dict[str, tuple[str, ...]] = {
    "dead_bootloader": (),
    "wrong_signature": (),
    "dies_mid_write": ("--dies-at-page", "3"),
    "bit_flip": ("--flips-bit-of", "0x100"),
    "silent_success": ("--ignores-writes",),
}


@dataclass(frozen=True)
class ChipStatus:
    """What the emulated chip has done since it was started; resets do not set it back."""

    cycles: int
    slept_cycles: int
    overruns: int  # bytes that the UART lost because the firmware was slow
    lost_to_host: int  # bytes that nobody read from the PTY
    late_us: int  # real time that was given up because the host was too slow


@dataclass(frozen=True)
class Event:
    """A marker edge (value 0 or 1) or a reset (value: its bit in MCUSR), in cycles since start."""

    cycle: int
    name: str
    value: int
    slept_cycles: int


class SimavrBoard:
    """An ATmega328P with a PTY at its UART. One thread at a time, but for stop()."""

    time_base: TimeBase = "cycles"
    has_probe = False
    probe_address: str | None = None

    def __init__(self, config: BoardConfig, timeout_s: float) -> None:
        options, fault = _arguments(config)
        find_tool("setpriv", "util-linux", "emulated AVR boards")
        runner = _simavr_build.runner()
        self._config = config
        self._stopped = False
        self._last_events: tuple[Event, ...] = ()
        with contextlib.ExitStack() as on_failure:
            # Both ends stay open here, so that the PTY and its path outlive every opening.
            self._master, self._slave = pty.openpty()
            on_failure.callback(os.close, self._master)
            on_failure.callback(os.close, self._slave)
            _set_line(self._slave, config.baud)
            os.set_blocking(self._master, False)
            self.link_address = os.ttyname(self._slave)
            if options.get("reset_on_open", "yes") == "yes":
                watch = ["--resets-on-open", self.link_address]
            else:
                watch = []
            self._events = tempfile.TemporaryFile(prefix="hilbench-")  # noqa: SIM115
            on_failure.callback(self._events.close)
            # Only a paced chip lives in the host's time.
            self._edges = None if options.get("pace") == "free" else HostEdges()
            if self._edges is not None:
                on_failure.callback(self._edges.close)
            self.edges_path: str | None = self._edges.path if self._edges else None
            self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            on_failure.callback(self._control.close)
            fds = [self._master, theirs.fileno(), self._events.fileno()]
            names = ["--pty", "--control", "--events"]
            if self._edges is not None:
                fds.append(self._edges.fd)
                names.append("--edges")
            named = zip(names, map(str, fds), strict=True)
            with theirs:
                self._process = EmulatorProcess(
                    config.id,
                    [
                        *(str(runner), *(word for pair in named for word in pair), *watch),
                        *(["--free"] if options.get("pace") == "free" else []),
                        *_FAULTS.get(fault, ()),
                    ],
                    fds,
                )
            on_failure.callback(self._process.stop)
            deadline = Deadline(timeout_s)
            self._program(_boot_flash(fault), _simavr_build.BOOT_ADDRESS, deadline)
            self.emulator = f"simavr {self._ask(b'V', deadline).decode()} atmega328p"
            on_failure.pop_all()

    def units_per_tick(self, counter_hz: int) -> float:
        """Return CPU cycles per tick of a counter."""
        return CLOCK_HZ / counter_hz

    def flash(self, image: Image) -> None:
        """Write the image as a programmer at the ISP header would, read back, and start it.

        That erases the bootloader, too: the program runs from reset at once.

        Raises:
            FlashError: the image is not for this chip's flash, or reads back differently.
            BoardError: the emulator has died.
        """
        board_id = self._config.id
        data = image_bytes(board_id, self._config.firmware, image)
        flash = _flash_of(board_id, image, segments(board_id, image, data))
        self._program(flash, 0, Deadline(self._config.timeouts.flash_s))

    def reset(self) -> None:
        """Pull the reset line, as DTR does on an Uno; SRAM and EEPROM keep their contents.

        Raises:
            BoardError: the emulator has died.
        """
        self._ask(b"R", Deadline(self._config.timeouts.start_s))

    def write_memory(self, address: int, data: bytes) -> None:
        """Raise LinkError: an Uno has no debug probe."""
        raise LinkError(
            f"board {self._config.id}: no debug probe to write {len(data)} bytes at 0x{address:x}; "
            "an Uno takes its model in the image"
        )

    def status(self) -> ChipStatus:
        """Return the chip's counts, e.g. the exact number of cycles.

        Raises:
            BoardError: the emulator has died.
        """
        text = self._ask(b"S", Deadline(self._config.timeouts.start_s)).decode()
        return ChipStatus(**{k: int(v) for k, v in (word.split("=") for word in text.split())})

    def read_flash(self) -> bytes:
        """Return all 32768 bytes of flash.

        Raises:
            BoardError: the emulator has died.
        """
        return self._ask(b"F", Deadline(self._config.timeouts.start_s))

    def events(self) -> tuple[Event, ...]:
        """Return marker edges and resets so far, in order; stay readable after stop()."""
        if self._stopped:
            return self._last_events
        fd = self._events.fileno()
        text = os.pread(fd, os.fstat(fd).st_size, 0).decode()
        words = (line.split() for line in text.splitlines(keepends=True) if line.endswith("\n"))
        return tuple(Event(int(c), name, int(v), int(s)) for c, name, v, s in words)

    def marker_edges(self) -> tuple[Edge, ...]:
        """Return all edges of the marker pin since start, exact to the cycle.

        ``edges_path`` has the same in host time: equal but for what the host was late.
        """
        marker = [event for event in self.events() if event.name == "marker"]
        return tuple(
            Edge(event.cycle / CLOCK_HZ, event.value == 1, _asleep(event, after))
            for event, after in zip_longest(marker, marker[1:])
        )

    def check_alive(self) -> None:
        """Raise BoardError with exit status and last words when the emulator has died."""
        self._process.check_alive()

    def stop(self) -> None:
        """End the emulator and close the PTY; may be called twice."""
        self._process.stop()
        if self._stopped:
            return
        self._last_events = self.events()
        self._stopped = True
        if self._edges is not None:
            self._edges.close()
        self._control.close()
        self._events.close()
        os.close(self._master)
        os.close(self._slave)

    def _program(self, flash: bytes, vector: int, deadline: Deadline) -> None:
        """Write all flash with the chip in reset, then power it on."""
        self._ask(b"P" + vector.to_bytes(2, "little") + flash, deadline)
        if self._ask(b"F", deadline) != flash:
            raise FlashError(
                f"board {self._config.id}: the flash of {_WHO} reads back differently than written; "
                "report this"
            )
        self._ask(b"G", deadline)

    def _ask(self, request: bytes, deadline: Deadline) -> bytes:
        try:
            deadline.send(self._control, request, _WHO)
            return deadline.receive(self._control, _WHO)
        except LinkError as error:
            self._process.check_alive(_DEATH_GRACE_S)
            raise BoardError(f"board {self._config.id}: {error}") from error


def _asleep(rise: Event, fall: Event | None) -> bool:
    """Return whether the chip slept for most of a pulse."""
    if rise.value == 0 or fall is None:
        return False
    return 2 * (fall.slept_cycles - rise.slept_cycles) > fall.cycle - rise.cycle


def start(board: BoardConfig, timeout_s: float) -> SimavrBoard:
    """Start an Uno whose flash holds nothing but the bootloader.

    Raises:
        ToolMissingError: a compiler or libsimavr is not installed.
        ConfigError: an emulator argument that does not exist.
        BoardError: the emulator ended at once, or was not ready within ``timeout_s``.
    """
    return SimavrBoard(board, timeout_s)


def _arguments(config: BoardConfig) -> tuple[dict[str, str], str]:
    options = dict(config.emulator_args)
    fault = options.pop("fault", "")
    choices = {**_CHOICES, "fault": ("", *_FAULTS)}
    for key, value in (*options.items(), ("fault", fault)):
        if key not in choices:
            raise ConfigError(
                f"board {config.id}: the simavr emulator has no argument {key!r}; "
                f"known: {', '.join(choices)}"
            )
        if value not in choices[key]:
            raise ConfigError(
                f"board {config.id}: {key} = {value!r} is not one of "
                f"{', '.join(filter(None, choices[key]))}"
            )
    return options, fault


def _set_line(slave: int, baud: int) -> None:
    """Set a raw line at a baud, as the host would; an unusual baud is set by whoever opens it."""
    tty.setraw(slave)
    attributes = termios.tcgetattr(slave)
    attributes[4] = attributes[5] = getattr(termios, f"B{baud}", attributes[5])
    termios.tcsetattr(slave, termios.TCSANOW, attributes)


def _boot_flash(fault: str) -> bytes:
    boot = _simavr_build.bootloader(_ATTINY85 if fault == "wrong_signature" else None)
    if fault == "dead_bootloader":
        boot = _JUMP_TO_ITSELF
    flash = b"\xff" * _simavr_build.BOOT_ADDRESS + boot
    return flash.ljust(FLASH_BYTES, b"\xff")


def _flash_of(board_id: str, image: Image, placed: list[tuple[int, bytes]]) -> bytes:
    flash = bytearray(b"\xff" * FLASH_BYTES)
    for address, content in placed:
        if address + len(content) > FLASH_BYTES:
            raise FlashError(
                f"board {board_id}: {image.path.name} has {len(content)} bytes at 0x{address:x}, "
                f"the flash ends at 0x{FLASH_BYTES:x}; link it for an ATmega328P"
            )
        flash[address : address + len(content)] = content
    return bytes(flash)


def missing_tool() -> str:
    """Return what is not installed and the line that adds it; "" when nothing is missing.

    Builds runner and bootloader (a second, once): only that shows whether the libraries are there.
    """
    try:
        _simavr_build.runner()
        _simavr_build.bootloader()
    except ToolMissingError as error:
        return str(error)
    return ""
