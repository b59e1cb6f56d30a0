"""Cortex-M boards in QEMU: deterministic in instructions, flashed through the gdbstub.

QEMU runs with ``-icount``: virtual time is a count of instructions, 2**shift ns each, so that the
board's timers give the same ticks in every run. Everything that talks to QEMU is an inherited
socket: no port to race for, no file that a killed host leaves behind.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

from hilbench.drivers.emulators._bridge import PtyBridge
from hilbench.drivers.emulators._deadline import Deadline
from hilbench.drivers.emulators._edges import MarkerEdge
from hilbench.drivers.emulators._probe_bridge import ProbeBridge, ProbeFaults
from hilbench.drivers.emulators._process import EmulatorProcess, find_tool, missing
from hilbench.drivers.emulators._qemu_core import GdbServer, OwnSession, QemuCore
from hilbench.drivers.emulators._qmp import QmpClient
from hilbench.drivers.emulators._rsp import RspClient
from hilbench.drivers.emulators._segments import image_bytes, segments
from hilbench.drivers.emulators._tcg_plugin import TcgPlugin, sees_marker
from hilbench.errors import BoardError, ConfigError, FlashError, LinkError
from hilbench.records import BoardConfig, Edge, Image, TimeBase

PROGRAM = "qemu-system-arm"
PACKAGE = "qemu-system-arm"
# 64 ns an instruction: longer than a tick of every timer (12 to 62.5 ns), so one instruction is seen.
ICOUNT_SHIFT = 6
# Real flash that QEMU starts as zeros: address and length of what is erased to ones.
_ERASED_FLASH = {"microbit": (0, 0x40000)}
_PROBE_TIMEOUT_S = 30.0  # a megabyte takes 0.1 s on an idle host
# Other ports are named after QEMU's machines.
MACHINES = {"nrf51": "microbit", "stm32f4": "netduinoplus2"}
NS_PER_S = 1e9
_DEATH_GRACE_S = 1.0  # between a closed socket and an exit status


class QemuBoard:
    """A QEMU machine with a PTY in front of its UART. One thread at a time, but for stop().

    With ``probe = "pyocd"`` it also has a debug probe for pyOCD at ``probe_address``, with
    ``probe = "gdb"`` a gdb server that takes one client at a time, and with ``plugin = "classes"`` it counts instructions by class and stamps the marker's edges.
    """

    time_base: TimeBase = "instructions"
    has_probe = True
    probe_address: str | None = None
    edges_path: str | None = None  # its time is not the host's

    def __init__(
        self, config: BoardConfig, timeout_s: float, faults: ProbeFaults | None = None
    ) -> None:
        program = find_tool(PROGRAM, PACKAGE, "emulated ARM boards")
        machine, probe, with_plugin = _options(config)
        self._config, self._machine = config, machine
        self._core_lock = threading.RLock()  # the probe's thread and the board's owner
        self._probe: ProbeBridge | None = None
        self._plugin = TcgPlugin(config.id, machine, program) if with_plugin else None
        plugin_arguments, plugin_fds = (
            (self._plugin.arguments, self._plugin.fds) if self._plugin else ((), ())
        )
        ours, theirs = zip(*(socket.socketpair() for _ in range(2)), strict=True)
        qmp, uart = ours
        self._qmp = QmpClient(qmp)
        own = None if probe == "gdb" else OwnSession()
        self._core: QemuCore = own or GdbServer(self._qmp)
        theirs = (theirs[0], self._core.theirs, theirs[1])
        with contextlib.ExitStack() as on_failure:
            if self._plugin is not None:
                on_failure.callback(self._plugin.close)
            for sock in ours:
                on_failure.callback(sock.close)
            on_failure.callback(self._core.close)
            try:
                self._process = EmulatorProcess(
                    config.id,
                    [
                        *(program, *_arguments(machine, self._core, *(s.fileno() for s in theirs))),
                        *plugin_arguments,
                    ],
                    [*(s.fileno() for s in theirs), *plugin_fds],
                )
            finally:
                for sock in theirs:
                    sock.close()
            on_failure.callback(self._process.stop)
            self._qmp_socket = qmp
            deadline = Deadline(timeout_s)
            with self._or_died():
                version = self._qmp.connect(deadline)
                with self._core.session(deadline) as rsp:
                    if machine in _ERASED_FLASH:
                        start, length = _ERASED_FLASH[machine]
                        rsp.write(start, b"\xff" * length, deadline)
                    if probe == "pyocd":
                        rsp.use_registers(deadline)
            self._bridge = PtyBridge(uart)
            on_failure.pop_all()
        self.probe_address = self._core.address
        if probe == "pyocd" and own is not None:
            self._probe = ProbeBridge(own.rsp, self._qmp, self._core_lock, faults or ProbeFaults())
            self.probe_address = self._probe.address
        self.emulator = f"qemu {version} icount shift={ICOUNT_SHIFT}"
        self.link_address = self._bridge.path

    def units_per_tick(self, counter_hz: int) -> float:
        """Return instructions per tick of a counter in virtual time."""
        return 1e9 / counter_hz / (1 << ICOUNT_SHIFT)

    def flash(self, image: Image) -> None:
        """Write the ELF's segments, read them back, reset and let the board run.

        Raises:
            FlashError: not written, or read back differently; names the address.
            BoardError: the emulator has died.
        """
        board_id = self._config.id
        data = image_bytes(board_id, self._config.firmware, image)
        deadline = Deadline(self._config.timeouts.flash_s)
        try:
            with self._core_lock, self._or_died(), self._core.session(deadline) as rsp:
                rsp.halt(deadline)
                for address, content in segments(board_id, image, data):
                    rsp.write(address, content, deadline)
                    _compare(board_id, address, content, rsp, deadline)
                self._qmp.reset(deadline)
                rsp.resume(deadline)
        except LinkError as error:
            raise FlashError(
                f"board {board_id}: {image.path.name} is not flashed: {error}"
            ) from error

    def write_memory(self, address: int, data: bytes) -> None:
        """Write bytes; the core stands still meanwhile, and so does its time.

        Raises:
            LinkError: refused, which names the address.
            BoardError: the emulator has died.
        """
        deadline = Deadline(_PROBE_TIMEOUT_S)
        with self._core_lock, self._or_died(), self._core.session(deadline) as rsp:
            was_running = rsp.running
            rsp.halt(deadline)
            try:
                rsp.write(address, data, deadline)
            finally:
                if was_running:
                    rsp.resume(deadline)

    def reset(self) -> None:
        """Reset the machine; RAM keeps its contents, as on a real reset pin.

        Raises:
            BoardError: nothing was flashed yet, or the emulator has died.
        """
        deadline = Deadline(self._config.timeouts.start_s)
        with self._core_lock, self._or_died():
            if not self._core.is_running(deadline):
                raise BoardError(
                    f"board {self._config.id}: reset before flash; flash an image first"
                )
            self._qmp.reset(deadline)

    def marker_edges(self) -> tuple[Edge, ...]:
        """Return the marker's edges since the emulator was started, in virtual time.

        A pulse lasts as long as the board's counter sees it, asleep or not; between pulses time is
        instructions only, and waiting for the host takes none. An edge is here before the firmware
        can report what it did after it.

        Raises:
            BoardError: the plugin is off, or QEMU's log is not understood, which it quotes.
        """
        return self._stamps().device_edges((1 << ICOUNT_SHIFT) / NS_PER_S)

    def instruction_edges(self) -> list[MarkerEdge]:
        """Return the same edges in instructions, by class.

        Raises:
            BoardError: as ``marker_edges``.
        """
        return self._stamps().instruction_edges()

    def check_alive(self) -> None:
        """Raise BoardError with exit status and last words when QEMU has died."""
        self._process.check_alive()

    def stop(self) -> None:
        """Kill QEMU and close the PTY; may be called twice."""
        self._process.stop()
        if self._probe is not None:
            self._probe.stop()
        if self._plugin is not None:
            self._plugin.close()
        self._bridge.stop()
        self._core.close()
        self._qmp_socket.close()

    def _stamps(self) -> TcgPlugin:
        if self._plugin is not None:
            return self._plugin
        if not sees_marker(self._machine):
            raise BoardError(
                f"board {self._config.id}: QEMU's {self._machine} has no pin for the marker; "
                "use another board where edges are needed"
            )
        raise BoardError(
            f"board {self._config.id}: marker edges are not stamped; "
            'add plugin = "classes" to its emulator_args'
        )

    @contextlib.contextmanager
    def _or_died(self) -> Iterator[None]:
        """Say that QEMU died rather than that its socket closed."""
        try:
            yield
        except LinkError:
            self._process.check_alive(_DEATH_GRACE_S)
            raise


def start(board: BoardConfig, timeout_s: float) -> QemuBoard:
    """Start QEMU with an empty board.

    Raises:
        ToolMissingError: QEMU is not installed, or no compiler for the plugin that is asked for.
        ConfigError: an emulator argument that does not exist.
        BoardError: QEMU ended at once, e.g. an unknown machine.
        LinkError: QEMU was not ready within ``timeout_s``.
    """
    return QemuBoard(board, timeout_s)


def _options(config: BoardConfig) -> tuple[str, str | None, bool]:
    """Return the machine, its probe, and whether it has the plugin."""
    arguments = dict(config.emulator_args)
    machine = arguments.pop("machine", MACHINES.get(config.firmware, config.firmware))
    probe = arguments.pop("probe", None)
    plugin = arguments.pop("plugin", None)
    if arguments:
        raise ConfigError(
            f"board {config.id}: the qemu emulator has no argument {next(iter(arguments))!r}; "
            "known: machine, probe, plugin"
        )
    if probe not in {None, "gdb", "pyocd"}:
        raise ConfigError(
            f"board {config.id}: the qemu emulator has no probe {probe!r}; known: gdb, pyocd"
        )
    if plugin not in {None, "classes"}:
        raise ConfigError(
            f"board {config.id}: the qemu emulator has no plugin {plugin!r}; known: classes"
        )
    return machine, probe, plugin is not None


def _arguments(machine: str, core: QemuCore, qmp_fd: int, gdb_fd: int, uart_fd: int) -> list[str]:
    return [
        *("-M", machine, "-icount", f"shift={ICOUNT_SHIFT}", "-S"),
        *("-nodefaults", "-display", "none", "-monitor", "none"),
        *("-chardev", f"socket,id=qmp,fd={qmp_fd}", "-mon", "chardev=qmp,mode=control"),
        *("-chardev", f"socket,id=gdb,fd={gdb_fd}{core.chardev}", "-gdb", "chardev:gdb"),
        *("-chardev", f"socket,id=uart,fd={uart_fd}", "-serial", "chardev:uart"),
    ]


def _compare(
    board_id: str, address: int, written: bytes, probe: RspClient, deadline: Deadline
) -> None:
    read = probe.read(address, len(written), deadline)
    if read != written:
        at = next(i for i, (a, b) in enumerate(zip(written, read, strict=True)) if a != b)
        raise FlashError(
            f"board {board_id}: flash reads back 0x{read[at]:02x} at 0x{address + at:08x}, "
            f"0x{written[at]:02x} was written; is the image linked for this board's memory?"
        )


def missing_tool() -> str:
    """Return what is not installed and the line that adds it; "" when nothing is missing."""
    return missing(PROGRAM, PACKAGE, "emulated ARM boards")
