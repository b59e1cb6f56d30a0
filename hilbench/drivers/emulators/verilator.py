"""A RISC-V board in RTL: VexRiscv, verilated, exact to the clock cycle.

The clock stands still while the firmware waits for the host, and the UART hands over whole packets,
so cycles do not depend on the host at all. Beside cycles the board counts how many bits of the
core's registers change (:meth:`VerilatorBoard.take_windows`), which depends on the data and stands
in for dynamic power in an energy model.
"""

from __future__ import annotations

import contextlib
import os
import pty
import socket
import struct
import tty
from collections.abc import Iterator
from dataclasses import dataclass

from hilbench.drivers.emulators import _verilated
from hilbench.drivers.emulators._deadline import Deadline
from hilbench.drivers.emulators._process import EmulatorProcess, find_tool
from hilbench.drivers.emulators._segments import image_bytes, segments
from hilbench.errors import BoardError, ConfigError, FlashError, LinkError, ToolMissingError
from hilbench.records import BoardConfig, Edge, Image, TimeBase

CLOCK_HZ = 50_000_000  # declared, see verilator_soc/README.md
_WHO = "the RTL board's control socket"
_CONTROL_TIMEOUT_S = 30.0
_DEATH_GRACE_S = 1.0  # between a closed socket and an exit status
_WINDOW = struct.Struct("<5Q")


@dataclass(frozen=True)
class ToggleWindow:
    """One pulse of the marker pin.

    Attributes:
        begin_cycle: counter when the pin rose, cycles since reset.
        cycles: length by the counter.
        clocked_cycles: the same less those that the core slept.
        samples: clock edges that were looked at, about one in 16 of ``clocked_cycles``.
        sampled_toggles: bits of the core's registers that changed at those edges.
    """

    begin_cycle: int
    cycles: int
    clocked_cycles: int
    samples: int
    sampled_toggles: int

    @property
    def toggles_per_cycle(self) -> float:
        """Mean over the samples, bits per clocked cycle."""
        return self.sampled_toggles / self.samples

    @property
    def toggles(self) -> float:
        """Estimate for the whole window, bits."""
        return self.toggles_per_cycle * self.clocked_cycles


@dataclass(frozen=True)
class SocStatus:
    """What the board says of itself.

    Attributes:
        cycles: counter, cycles since reset.
        freezes: how often the clock has stood still to wait for the host, since the last flash.
        frozen: it stands still now, and the board takes no processor time of the host.
        registers: how many registers of the core the toggles are summed over.
    """

    cycles: int
    freezes: int
    frozen: bool
    registers: int


class VerilatorBoard:
    """A PTY, and behind it one simulation after the other. One thread at a time, but for stop().

    The probe is a back door of the testbench and no model of a debug module: it writes memory in no
    time of the board, and the firmware drops its data cache before it looks.
    """

    time_base: TimeBase = "cycles"
    has_probe = True
    probe_address: str | None = None
    edges_path: str | None = None  # its time is not the host's

    def __init__(self, config: BoardConfig) -> None:
        if config.emulator_args:
            raise ConfigError(
                f"board {config.id}: the verilator emulator has no argument "
                f"{config.emulator_args[0][0]!r}; it takes none"
            )
        find_tool("setpriv", "util-linux", "RTL boards")
        soc = _verilated.soc()
        self.emulator = soc.description
        self._program = str(soc.program)
        self._config = config
        self._process: EmulatorProcess | None = None
        self._control: socket.socket | None = None
        # Both ends stay open here, so that the PTY and its path outlive every simulation.
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self._events = os.memfd_create("hilbench-toggles")
        self._events_read_bytes = 0
        self._last_events = b""
        self.link_address = os.ttyname(self._slave)

    def units_per_tick(self, counter_hz: int) -> float:  # noqa: ARG002 - whatever its rate
        """Return 1.0: the port's counter counts the core's clock."""
        return 1.0

    def flash(self, image: Image) -> None:
        """Start a simulation with the ELF's segments in its memory, after ending the one before.

        Raises:
            FlashError: the image is for another port, gone, changed, or linked elsewhere.
            BoardError: the simulation has died.
        """
        board_id = self._config.id
        data = image_bytes(board_id, self._config.firmware, image)
        loads = segments(board_id, image, data)
        self._end()
        self._begin()
        deadline = Deadline(self._config.timeouts.flash_s)
        try:
            for address, content in loads:
                self._command(f"write {address} {len(content)}", deadline, content)
            self._command("reset", deadline)
        except LinkError as error:
            self._end()
            raise FlashError(
                f"board {board_id}: {image.path.name} is not flashed: {error}; "
                "is it linked for this board's memory?"
            ) from error

    def reset(self) -> None:
        """Begin again as after power-on; memory keeps its contents.

        Raises:
            BoardError: nothing was flashed yet, or the simulation has died.
        """
        self._command("reset", Deadline(self._config.timeouts.start_s))

    def write_memory(self, address: int, data: bytes) -> None:
        """Write bytes through the back door, in no time of the board.

        Raises:
            LinkError: no memory there, which names the address.
            BoardError: nothing was flashed yet, or the simulation has died.
        """
        self._command(f"write {address} {len(data)}", Deadline(_CONTROL_TIMEOUT_S), data)

    def read_memory(self, address: int, count: int) -> bytes:
        """Read bytes through the back door.

        Raises:
            LinkError: no memory there, which names the address.
            BoardError: nothing was flashed yet, or the simulation has died.
        """
        deadline = Deadline(_CONTROL_TIMEOUT_S)
        _, data = self._command(f"read {address} {count}", deadline, answer_bytes=count)
        return data

    def status(self) -> SocStatus:
        """Ask the board about its clock.

        Raises:
            BoardError: nothing was flashed yet, or the simulation has died.
        """
        words, _ = self._command("status", Deadline(_CONTROL_TIMEOUT_S))
        cycles, freezes, frozen, registers = map(int, words)
        return SocStatus(cycles, freezes, bool(frozen), registers)

    def take_windows(self) -> list[ToggleWindow]:
        """Return the pulses of the marker pin that have ended since the last call, oldest first.

        A pulse is here before the firmware can report that it has ended. One that a reset cut short
        is left out.
        """
        data = self._written()[self._events_read_bytes :]
        self._events_read_bytes += len(data)
        return [ToggleWindow(*words) for words in _WINDOW.iter_unpack(data)]

    def marker_edges(self) -> tuple[Edge, ...]:
        """Return all edges of the marker pin since start, exact to the cycle within a pulse.

        The counter begins again at a reset; what lay between the last pulse and a reset is left
        out. So is a pulse that a reset cut short.
        """
        edges: list[Edge] = []
        end = offset = 0
        for words in _WINDOW.iter_unpack(self._written()):
            window = ToggleWindow(*words)
            if window.begin_cycle < end:
                offset += end
            end = window.begin_cycle + window.cycles
            asleep = 2 * window.clocked_cycles < window.cycles
            rise_s = (offset + window.begin_cycle) / CLOCK_HZ
            edges += (
                Edge(rise_s, high=True, asleep=asleep),
                Edge((offset + end) / CLOCK_HZ, high=False),
            )
        return tuple(edges)

    def check_alive(self) -> None:
        """Raise BoardError with exit status and last words when the simulation has died."""
        if self._process is not None:
            self._process.check_alive()

    def stop(self) -> None:
        """Kill the simulation and close the PTY; may be called twice."""
        self._end()
        self._last_events = self._written()
        for fd in (self._master, self._slave, self._events):
            if fd >= 0:
                os.close(fd)
        self._master = self._slave = self._events = -1

    def _written(self) -> bytes:
        if self._events < 0:
            return self._last_events
        return os.pread(self._events, os.fstat(self._events).st_size, 0)

    def _begin(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            passed = [self._master, theirs.fileno(), self._events]
            names = ("--line", "--control", "--events")
            options = [str(x) for pair in zip(names, passed, strict=True) for x in pair]
            try:
                self._process = EmulatorProcess(self._config.id, [self._program, *options], passed)
            except BaseException:
                ours.close()
                raise
        self._control = ours

    def _end(self) -> None:
        if self._process is not None:
            self._process.stop()
        if self._control is not None:
            self._control.close()
        self._process = self._control = None

    def _command(
        self, line: str, deadline: Deadline, data: bytes = b"", answer_bytes: int = 0
    ) -> tuple[list[str], bytes]:
        """Send a line and data; return the words after "ok" and the bytes that follow."""
        if self._control is None:
            raise BoardError(
                f"board {self._config.id}: {line.split(maxsplit=1)[0]} before flash; flash an image first"
            )
        with self._or_died():
            deadline.send(self._control, line.encode() + b"\n" + data, _WHO)
            answer = b""
            while b"\n" not in answer:
                answer += deadline.receive(self._control, _WHO)
            head, rest = answer.split(b"\n", 1)
            status, *words = head.decode().split()
            while status == "ok" and len(rest) < answer_bytes:
                rest += deadline.receive(self._control, _WHO)
        if status != "ok":
            raise LinkError(f"the RTL board refuses {_spoken(line)}: {' '.join(words)}")
        return words, rest

    @contextlib.contextmanager
    def _or_died(self) -> Iterator[None]:
        """Say that the simulation died rather than that its socket closed."""
        try:
            yield
        except LinkError:
            if self._process is not None:
                self._process.check_alive(_DEATH_GRACE_S)
            raise


def start(board: BoardConfig, timeout_s: float) -> VerilatorBoard:  # noqa: ARG001 - see below
    """Build the board if need be and open its PTY; flash() starts the simulation.

    The first build on a machine takes longer than a board may take to start, so it has a limit of
    its own (five minutes).

    Raises:
        ToolMissingError: Verilator, g++, make, util-linux or the core's package is not installed.
        ConfigError: emulator arguments, of which there are none.
        BoardError: the build has failed.
    """
    return VerilatorBoard(board)


def _spoken(line: str) -> str:
    verb, *numbers = line.split()
    if not numbers:
        return verb
    return f"to {verb} {numbers[1]} bytes at 0x{int(numbers[0]):08x}"


def missing_tool() -> str:
    """Return what is not installed and the line that adds it; "" when nothing is missing."""
    try:
        _verilated.tools()
    except ToolMissingError as error:
        return str(error)
    return ""
