"""A Nordic Power Profiler Kit II on a PTY: 100 kS/s, five ranges, D0 to D7.

Run by itself: ``python -m hilbench.drivers.emulated_meters.ppk2 --square-ms 20 5``.
The protocol is Nordic's, as its own and two independent clients speak it (docs/energy.md).
"""

from __future__ import annotations

import argparse
import enum
import struct
import sys
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hilbench.drivers.emulated_meters import _ppk2_codes as codes
from hilbench.drivers.emulated_meters._current import Block, Change
from hilbench.drivers.emulated_meters._faults import runs
from hilbench.drivers.emulated_meters._process import Limits, MeterProcess, arguments
from hilbench.drivers.emulated_meters._server import Instrument, main
from hilbench.records import BoardConfig

LOGIC_INPUTS = tuple(f"D{bit}" for bit in range(8))
LIMITS = Limits("the PPK2", LOGIC_INPUTS, largest_a=codes.LARGEST_A)
FAULTS = (
    *("gap", "gaps", "lost-byte", "stopped-stream", "unplug", "stale-stream"),
    *("split-metadata", "slow-metadata", "endless-metadata", "nan-calibration"),
    *("corrupt-calibration", "range-chatter", "marker-bounce", "spurious-pulse", "unpowered"),
)


class Command(enum.IntEnum):
    """What clients of today send."""

    START = 0x06
    STOP = 0x07
    POWER = 0x0C
    VOLTAGE = 0x0D
    MODE = 0x11
    METADATA = 0x19
    RESET = 0x20
    GAIN = 0x25


# Bytes behind the command; others have none.
_ARGUMENTS: Mapping[int, int] = {
    Command.POWER: 1,
    Command.VOLTAGE: 2,
    Command.MODE: 1,
    Command.GAIN: 5,
}
_AMPERE, _SOURCE = 1, 2
_VOLTAGE_MV = range(800, 5001)
_WORD_BYTES = 4
# The first unsettled sample after a range switch is wrong by this. Real ones were not available.
_SPIKE = 0.5


class Ppk2(Instrument):
    """The instrument. There are no acknowledgements: it obeys or ignores."""

    faults = FAULTS

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(options, codes.SAMPLE_HZ)
        self._bit = LOGIC_INPUTS.index(options.marker) if options.marker else None
        self._ranges = codes.Ranges(_SPIKE)
        self._rest = b""
        self._mode = _SOURCE
        self._vdd_mv = 3000
        self._gains = [1.0] * 5
        self._later: list[tuple[float, bytes]] = []  # metadata on their way
        self._set_voltage(0.0)
        if self.fault("stale-stream"):
            self.start_stream(0.0)

    def receive(self, data: bytes, now_s: float) -> None:
        """Obey commands; one may come in pieces."""
        data = self._rest + data
        while data and len(data) > (count := _ARGUMENTS.get(data[0], 0)):
            self._obey(data[0], data[1 : 1 + count], now_s)
            data = data[1 + count :]
        self._rest = data

    def _obey(self, command: int, argument: bytes, now_s: float) -> None:
        self.notes.append(f"{command:02x} {argument.hex()}".strip())
        match command:
            case Command.START:
                self._ranges.reset()
                self.start_stream(now_s)
            case Command.STOP:
                self.stop_stream(now_s)
            case Command.POWER:
                self.change(Change(now_s, "power", argument[0] & 1))
            case Command.VOLTAGE if int.from_bytes(argument) in _VOLTAGE_MV:
                self._vdd_mv = int.from_bytes(argument)
                self._set_voltage(now_s)
            case Command.MODE if argument[0] in (_AMPERE, _SOURCE):
                self._mode = argument[0]
                self._set_voltage(now_s)
            case Command.METADATA:
                self._send_metadata(now_s)
            case Command.RESET:
                self.stop_stream(now_s)
                self.no_client(now_s)
            case Command.GAIN if argument[0] < len(self._gains):
                self._gains[argument[0]] = struct.unpack("<f", argument[1:])[0]

    @property
    def _voltage_v(self) -> float:
        """At the board: the meter's own, or in ampere mode whatever else supplies it."""
        return self._vdd_mv * 1e-3 if self._mode == _SOURCE else self.supply_v

    def _set_voltage(self, now_s: float) -> None:
        self.change(Change(now_s, "voltage", self._voltage_v))

    def no_client(self, now_s: float) -> None:
        """Take the board's power away, as the instrument does when its port was closed."""
        self.notes.append("power off")
        self.change(Change(now_s, "power", 0))

    def _send_metadata(self, now_s: float) -> None:
        changed = {}
        for fault in self.all_faults("nan-calibration"):
            changed[fault.values["key"]] = "-nan"
        for fault in self.all_faults("corrupt-calibration"):
            changed[fault.values["key"]] = fault.values["value"]
        text = codes.metadata(self._vdd_mv, self._mode, self._gains, changed).encode()
        if not self.fault("endless-metadata"):
            text += b"END\n"
        slow, split = self.fault("slow-metadata"), self.fault("split-metadata")
        at_s = now_s + (slow.integer("ms") * 1e-3 if slow else 0.0)
        size = split.integer("bytes") if split else len(text)
        for start in range(0, len(text), size):
            self._later.append((at_s, text[start : start + size]))
            at_s += 0.001
        self.on_time(now_s)

    def on_time(self, now_s: float) -> None:
        """Send the metadata that are due."""
        while self._later and self._later[0][0] <= now_s:
            self.pty.reply(self._later.pop(0)[1])

    @property
    def busy(self) -> bool:
        """Metadata are on their way."""
        return bool(self._later)

    def emit(self, block: Block) -> None:
        """Encode, lose what faults take, and give the rest to the FIFO."""
        ranges, reading_a = self._ranges.follow(block.current_a, self._raised(block))
        logic = np.zeros(len(reading_a), np.uint8)
        if self._bit is not None:
            logic[self.logic(block)] = 1 << self._bit
        words = codes.encode(reading_a, ranges, logic, block.start, self._voltage_v)
        keep = self.kept(block)
        unplugged_at = self.unplug_at(block)
        keep[unplugged_at:] &= unplugged_at is None
        index = block.start + np.flatnonzero(keep)
        taken = self.pty.offer(
            self.without_bytes(words[keep].tobytes(), index, _WORD_BYTES), _WORD_BYTES
        )
        sent = -(-taken // _WORD_BYTES)
        self.delivered += sent
        for start, count in runs(index[sent:]):
            self.lose(start, count, "overflow")
        if unplugged_at is not None:
            self.streaming = False
            self.pty.unplug()

    def _raised(self, block: Block) -> NDArray[np.bool_] | None:
        index = block.start + np.arange(len(block.current_a))
        raised = np.zeros(len(index), np.bool_)
        for fault in self.all_faults("range-chatter"):
            at, period = fault.integer("at"), fault.integer("period")
            within = (index >= at) & (index < at + fault.integer("samples"))
            raised |= within & ((index - at) // period % 2 == 0)
        return raised if raised.any() else None


def start(
    board: BoardConfig, edges_path: str | None, timeout_s: float, options: Sequence[str] = ()
) -> MeterProcess:
    """Start a PPK2 that measures an emulated board.

    Args:
        board: its ``current`` is what it draws, ``meter.marker`` the logic input of its marker
        edges_path: file of the board's marker edges, see ``EdgesFile``; None: it has none
        timeout_s: until the address is there
        options: further words of the command line, e.g. ("--fault", "gap:at=5000,samples=64")

    Raises:
        ConfigError: the board's table lacks something, or a PPK2 cannot show such a current.
        MeterError: the process died at once, or did not say its address in time.
        ToolMissingError: util-linux is not installed.
    """
    words = [*arguments(board, edges_path, LIMITS), *options]
    return MeterProcess("ppk2", board.id, words, timeout_s)


def _make(options: argparse.Namespace) -> Ppk2:
    return Ppk2(options)


if __name__ == "__main__":
    sys.exit(main("ppk2", "A Power Profiler Kit II", _make, FAULTS, "D0"))
