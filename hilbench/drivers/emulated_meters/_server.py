"""What every emulated instrument is made of: its command line and the loop of its process."""

from __future__ import annotations

import argparse
import json
import select
import socket
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilbench.drivers.emulated_meters import _faults
from hilbench.drivers.emulated_meters._current import Block, Change, Sampler, Timeline
from hilbench.drivers.emulated_meters._edges import EdgesFile, SquareWave
from hilbench.drivers.emulated_meters._faults import Fault, LossLog
from hilbench.drivers.emulated_meters._pty import Pty
from hilbench.errors import HilbenchError, MeterError
from hilbench.records import CurrentModel

# While it streams. A PTY hands over 4095 bytes at once, which are 10 ms of a PPK2.
_TICK_S = 0.008
# 0.65 s of a PPK2. A real one and its driver hold less, but it does not share a processor with its
# client; what a slow client loses is tested with less.
_FIFO_BYTES = 1 << 18
_REST_S = 0.050
_BLOCK = 8192  # samples at once, when it has to catch up
_RECEIVE_BYTES = 4096


class Instrument(ABC):
    """A meter behind a PTY: its state, its stream, its faults. Times are seconds since the epoch."""

    faults: Sequence[str]  # names that it knows

    def __init__(self, options: argparse.Namespace, rate_hz: float) -> None:
        self.model = model_of(options)
        self.supply_v: float = options.supply_v
        self.timeline = Timeline(self.model)
        self.sampler = Sampler(self.timeline, rate_hz)
        self.pty = Pty(options.fifo_bytes)
        self.losses = LossLog()
        self.streaming = False
        self.captures = 0
        self.made = 0  # samples of this capture
        self.last: int | None = None  # so many samples end the capture
        self.delivered = 0  # of them, given to the FIFO
        self.notes: list[str] = []  # what the client did, for tests
        self._faults: list[Fault] = options.fault
        self._bounce = self.fault("marker-bounce")
        self._random = np.random.default_rng(self._bounce.integer("seed") if self._bounce else 0)

    @abstractmethod
    def receive(self, data: bytes, now_s: float) -> None:
        """Obey what the client sends."""

    @abstractmethod
    def emit(self, block: Block) -> None:
        """Send samples in the vendor's format."""

    @abstractmethod
    def no_client(self, now_s: float) -> None:
        """Nobody has had the port open for a while."""

    @property
    @abstractmethod
    def busy(self) -> bool:
        """Something besides samples is to be sent soon."""

    @abstractmethod
    def on_time(self, now_s: float) -> None:
        """Send what is due besides samples."""

    def fault(self, name: str) -> Fault | None:
        """Return a fault that was asked for, if it was."""
        return next(iter(self.all_faults(name)), None)

    def all_faults(self, name: str) -> list[Fault]:
        """Return all faults of a name that were asked for."""
        return [fault for fault in self._faults if fault.name == name]

    def change(self, change: Change) -> None:
        """Put a change into the board's timeline; edges may bounce on their way to the pin."""
        if change.kind == "power" and self.fault("unpowered"):
            change = Change(change.t_s, "power", 0)
        self.timeline.add(change)
        if change.kind == "marker" and self._bounce:
            gaps_s = self._random.exponential(
                self._bounce.integer("us") * 1e-6, 2 * self._bounce.integer("times")
            )
            at, level = change.t_s, change.value
            for gap_s in gaps_s:
                at, level = at + float(gap_s), 1 - level
                self.timeline.add(Change(at, "pin", level))

    def start_stream(self, now_s: float) -> None:
        """Begin a capture with sample 0 now."""
        self.streaming = True
        self.captures += 1
        self.made = self.delivered = 0
        self.sampler.start(now_s)

    def stop_stream(self, now_s: float) -> None:
        """Send what has ended by now, at once, and end the capture."""
        if self.streaming:
            self.produce(now_s)
            self.streaming = False

    def produce(self, until_s: float) -> None:
        """Make and send the samples that have ended by a time."""
        while self.streaming and (due := self._due(until_s)):
            self.made += due
            self.emit(self.sampler.block(due))

    def _due(self, until_s: float) -> int:
        due = min(self.sampler.due(until_s), _BLOCK)
        return due if self.last is None else min(due, self.last - self.made)

    def lose(self, start: int, samples: int, why: str) -> None:
        """Note lost samples of this capture."""
        self.losses.add(self.captures, start, samples, why)

    def kept(self, block: Block) -> NDArray[np.bool_]:
        """Return which samples gaps and stopped streams leave, and note the others."""
        keep = np.ones(len(block.current_a), np.bool_)
        for fault in self.all_faults("gap") + self.all_faults("stopped-stream"):
            start = fault.integer("at")
            end = start + (fault.integer("samples") if fault.name == "gap" else sys.maxsize)
            here = slice(max(0, start - block.start), max(0, end - block.start))
            lost = int(keep[here].sum())
            keep[here] = False
            self.lose(max(start, block.start), lost, fault.name)
        return keep

    def logic(self, block: Block) -> NDArray[np.bool_]:
        """Return the pin's level with spurious pulses."""
        level = block.level.copy()
        for fault in self.all_faults("spurious-pulse"):
            start = fault.integer("at") - block.start
            here = slice(max(0, start), max(0, start + fault.integer("samples")))
            level[here] ^= True
        return level

    def without_bytes(self, data: bytes, index: NDArray[np.intp], unit: int) -> bytes:
        """Return samples of ``unit`` bytes without the bytes that faults take; index: theirs."""
        for fault in self.all_faults("lost-byte"):
            place = np.flatnonzero(index == fault.integer("at"))
            if len(place):
                at = int(place[0]) * unit + fault.integer("byte") % unit
                data = data[:at] + data[at + 1 :]
                self.lose(fault.integer("at"), 1, fault.name)
        return data

    def unplug_at(self, block: Block) -> int | None:
        """Return the sample within the block at which it is unplugged."""
        fault = self.fault("unplug")
        if fault is None:
            return None
        at = fault.integer("at") - block.start
        return max(0, at) if at < len(block.current_a) else None


class Server:
    """Feeds an instrument with edges, commands and time until the end of its process."""

    def __init__(self, instrument: Instrument, options: argparse.Namespace, epoch_ns: int) -> None:
        self._instrument = instrument
        self._epoch_ns = epoch_ns
        self._delay_s = options.delay_ms * 1e-3
        self._edges: EdgesFile | SquareWave | None = None
        if options.edges is not None:
            self._edges = EdgesFile(options.edges, epoch_ns)
        elif options.square_ms is not None:
            self._edges = SquareWave(*(ms * 1e-3 for ms in options.square_ms))
        self._control = (
            socket.socket(fileno=options.control_fd) if options.control_fd is not None else None
        )
        self._no_client_since: float | None = None
        pty = instrument.pty
        self._poll = select.poll()
        self._poll.register(pty.watch, select.POLLIN)
        if self._control:
            self._poll.register(self._control, select.POLLIN)
        self._master = pty.master  # the descriptor is gone after unplug()
        self._poll.register(self._master, select.POLLIN)
        self._tell({"address": pty.address})

    def run(self) -> None:
        """Serve until the parent closes its end.

        Raises:
            MeterError: an edge came too late for its sample, or the edges file makes no sense.
        """
        while self._turn():
            pass

    def now_s(self) -> float:
        """Return the time since the epoch."""
        return (time.monotonic_ns() - self._epoch_ns) * 1e-9

    def _turn(self) -> bool:
        """Wait, then do what is due; return whether to go on."""
        instrument, pty = self._instrument, self._instrument.pty
        if pty.open:
            self._poll.modify(self._master, select.POLLIN | (select.POLLOUT if pty.pending else 0))
        wait_s = _TICK_S if instrument.streaming or instrument.busy else _REST_S
        events = dict(self._poll.poll(wait_s * 1e3))
        now_s = self.now_s()
        self._read_edges(now_s)
        if pty.watch in events:
            pty.count_clients()
            self._no_client_since = None if pty.clients else now_s
        if events.get(self._master, 0) & select.POLLIN:
            instrument.receive(pty.read(), now_s)
        if self._no_client_since is not None and not pty.clients:
            self._look_for_client(now_s)
        instrument.on_time(now_s)
        instrument.produce(now_s - self._delay_s)
        if pty.open:
            pty.flush()
        else:
            self._forget_pty()
        return self._control is None or self._control.fileno() not in events or self._answer()

    def _look_for_client(self, now_s: float) -> None:
        # Measured on a PPK2: still on at 0 ms, off or not at 100 to 250 ms, always off at 500 ms.
        if self._no_client_since is not None and now_s - self._no_client_since > 0.5:  # noqa: PLR2004
            self._instrument.no_client(now_s)
            self._no_client_since = None

    def _forget_pty(self) -> None:
        if self._master >= 0:
            self._poll.unregister(self._master)
            self._master = -1

    def _read_edges(self, now_s: float) -> None:
        if self._edges is None:
            return
        made_s = self._instrument.sampler.made_until_s
        for change in self._edges.read(now_s):
            if change.t_s < made_s:
                late_ms = (now_s - change.t_s) * 1e3
                limit_ms = min(self._delay_s, now_s - made_s) * 1e3  # a stop sends all at once
                raise MeterError(
                    f"edge came {late_ms:.1f} ms late, limit {limit_ms:.3g} ms: its samples were sent "
                    "without it; the computer is too busy for a board in real time, stop other "
                    "programs and run again"
                )
            self._instrument.change(change)

    def _answer(self) -> bool:
        assert self._control is not None
        request = self._control.recv(_RECEIVE_BYTES)
        if not request:
            return False
        for _ in request.splitlines():
            self._tell(self._account())
        return True

    def _account(self) -> dict[str, Any]:
        instrument = self._instrument
        now_s = self.now_s()
        return {
            "windows": [
                (self._epoch_ns * 1e-9 + start, self._epoch_ns * 1e-9 + end, charge, energy)
                for start, end, charge, energy in instrument.timeline.windows(now_s)
            ],
            "losses": instrument.losses.as_dicts(),
            "captures": instrument.captures,
            "made": instrument.made,
            "delivered": instrument.delivered,
            "notes": instrument.notes,
        }

    def _tell(self, what: dict[str, Any]) -> None:
        if self._control:
            self._control.sendall(json.dumps(what).encode() + b"\n")
        elif "address" in what:
            print(what["address"], flush=True)


def model_of(options: argparse.Namespace) -> CurrentModel:
    """Return the board's current as the command line has it."""
    return CurrentModel(
        idle_ma=options.idle_ma,
        active_ma=options.active_ma,
        operators_ma=options.operators_ma,
        tail_us=options.tail_us,
        noise_ma=options.noise_ma,
        drift_ma_per_s=options.drift_ma_per_s,
        clock_ppm=options.clock_ppm,
        seed=options.seed,
    )


def _parser(name: str, what: str, faults: Sequence[str], marker: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m hilbench.drivers.emulated_meters.{name}",
        description=f"{what} on a pseudo-terminal; prints its address and runs until Ctrl-C.",
        epilog=_faults.describe(faults),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    numbers = (
        ("--idle-ma", 5.0, "current outside of marker windows"),
        ("--active-ma", 12.0, "current in marker windows"),
        ("--tail-us", 0.0, "time constant between board and meter"),
        ("--noise-ma", 0.0, "white noise, rms"),
        ("--drift-ma-per-s", 0.0, "drift of the current"),
        ("--clock-ppm", 0.0, "by how much the meter's clock is fast"),
        ("--supply-v", 3.3, "supply of the board, where the meter does not set it"),
        (
            "--delay-ms",
            100.0,
            "how much later than their time samples are made, and edges may come",
        ),
    )
    for option, default, meaning in numbers:
        parser.add_argument(
            option, type=float, default=default, help=f"{meaning} (default {default:g})"
        )
    parser.add_argument(
        "--operators-ma",
        type=lambda text: tuple(float(word) for word in text.split(",") if word),
        default=(),
        metavar="MA,MA,...",
        help="of marked operators, in turn",
    )
    parser.add_argument("--seed", type=int, default=1, help="of the noise")
    parser.add_argument(
        "--fifo-bytes",
        type=int,
        default=_FIFO_BYTES,
        help=f"what it holds for a slow client (default {_FIFO_BYTES})",
    )
    parser.add_argument("--marker", default=marker, help=f"logic input (default {marker})")
    feed = parser.add_mutually_exclusive_group()
    feed.add_argument(
        "--edges", type=Path, help='growing file of "<CLOCK_MONOTONIC ns> <0|1>[ idle]" lines'
    )
    feed.add_argument(
        "--square-ms", type=float, nargs=2, metavar=("PERIOD", "HIGH"), help="marker windows"
    )
    parser.add_argument("--fault", action="append", default=[], help="see below; may be repeated")
    parser.add_argument("--control-fd", type=int, help=argparse.SUPPRESS)
    return parser


def main(
    name: str,
    what: str,
    make: Callable[[argparse.Namespace], Instrument],
    faults: Sequence[str],
    marker: str,
) -> int:
    """Run an instrument as a program; return its exit status."""
    epoch_ns = time.monotonic_ns()
    options = _parser(name, what, faults, marker).parse_args()
    try:
        options.fault = [fault for text in options.fault for fault in _faults.parse(text, faults)]
        instrument = make(options)
        Server(instrument, options, epoch_ns).run()
    except HilbenchError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0
