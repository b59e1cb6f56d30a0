"""An ST X-NUCLEO-LPM01A "PowerShield" on a PTY: ASCII and binary, current and energy, events of D7.

Run by itself: ``python -m hilbench.drivers.emulated_meters.lpm01a --square-ms 20 5``.
What ST's texts leave open is decided here, and said: the words of version, powershield and summary;
that a second ``eventsrc`` adds to the first; that one kind of event alone is called "ris" (the MLPerf
Tiny runner asks for "fal" and waits for "ris"); that events come in ASCII only; where a finite
acquisition that is too long for its format is refused (at ``start``).
Ref: ST UM2243, UM2269.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hilbench.drivers.emulated_meters import _lpm01a_format as fmt
from hilbench.drivers.emulated_meters._current import Block, Change
from hilbench.drivers.emulated_meters._faults import runs
from hilbench.drivers.emulated_meters._process import Limits, MeterProcess, arguments
from hilbench.drivers.emulated_meters._server import Instrument, main
from hilbench.records import BoardConfig

LIMITS = Limits("the LPM01A", ("D7",), largest_a=0.050)
FAULTS = (
    *("gap", "gaps", "lost-byte", "stopped-stream", "unplug", "marker-bounce", "unpowered"),
    *("old-firmware", "refuses", "stale-pwrend", "one-event-kind", "overcurrent"),
    "calibration",
)
_PROMPT = "PowerShield > "
_RATES_HZ = frozenset(n * 10**k for k in range(5) for n in (1, 2, 5)) | {100_000}
_STAMP_EVERY = 1000  # samples
_CALIBRATION_MS = 1500  # after "volt"
_ENERGY_HZ = 10_000
# Longest acquisition in ASCII at 3 686 400 Bd; slower ones have no end.
_ASCII_S = {10_000: 1.0, 20_000: 0.5, 50_000: 0.0, 100_000: 0.0}
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "acqmode": ("dyn", "stat"),
    "funcmode": ("optim", "high"),
    "output": ("current", "energy"),
    "format": ("ascii_dec", "bin_hexa"),
    "trigsrc": ("sw", "d7"),
    "pwrend": ("on", "off"),
}
_RANGES: Mapping[str, tuple[float, float]] = {
    "acqtime": (0.0, 100.0),
    "trigdelay": (0.0, 30.0),
    "currthres": (0.0, 0.050),
    "targrst": (0.0, 1.0),
}
_FACTORY = {
    **{key: values[0] for key, values in _CHOICES.items()},
    "freq": "100",
    "acqtime": "10",
    "trigdelay": "1m",
    "currthres": "1m",
    "pwr": "auto",
}


class Refused(Exception):  # noqa: N818 - an answer, not a failure
    """The instrument answers with an error and this detail."""


class Lpm01a(Instrument):
    """The instrument."""

    faults = FAULTS

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(options, 100.0)
        self._wired = bool(options.marker)
        self._fifo_bytes: int = options.fifo_bytes
        self._line = b""
        self._waiting: list[str] = []  # commands during a calibration
        self._busy_until_s = -math.inf
        self._powered = False
        self._armed_s: float | None = None  # waits for D7 since then
        self._reset()
        self._ran_before = False
        if self.fault("stale-pwrend"):
            self._set["pwrend"], self._ran_before = "off", True
        self.change(Change(0.0, "voltage", self._volt))

    def _reset(self) -> None:
        self._set = dict(_FACTORY)
        self._volt = 3.3
        self._events: list[str] = []
        self._event = 0
        self._sum_a, self._low_a, self._high_a = 0.0, math.inf, 0.0

    # What the client says.

    def receive(self, data: bytes, now_s: float) -> None:
        """Obey commands, one per line."""
        *lines, self._line = (self._line + data.replace(b"\r", b"\n")).split(b"\n")
        self._waiting += [
            text for line in lines if (text := line.decode("ascii", "replace").strip())
        ]
        self.on_time(now_s)

    @property
    def busy(self) -> bool:
        """Commands wait for the end of a calibration."""
        return bool(self._waiting)

    def on_time(self, now_s: float) -> None:
        """Obey commands that waited for a calibration; end a finite acquisition."""
        if self.streaming and self.last is not None and self.made == self.last:
            self._complete(now_s)
        while self._waiting and now_s >= self._busy_until_s:
            self._obey(self._waiting.pop(0), now_s)

    def _obey(self, command: str, now_s: float) -> None:
        self.notes.append(command)
        verb, *words = command.split()
        try:
            answer = self._answer(verb, words, now_s)
        except Refused as refused:
            self._say(f"\r\n{_PROMPT}error {command}\r\n\r\nError detail: {refused}\r\n\r\n")
            return
        if answer is not None:
            self._say(f"\r\n{_PROMPT}ack {command}{' ' if answer else ''}{answer}\r\n\r\n")
        if verb == "start" and self._set["trigsrc"] == "sw":
            self._begin(now_s + fmt.number(self._set["trigdelay"]))

    def _answer(self, verb: str, words: Sequence[str], now_s: float) -> str | None:
        """Return what comes behind the ack; None when the command has answered itself."""
        refuses = self.fault("refuses")
        if refuses and verb == refuses.values["command"]:
            raise Refused("refused by a fault")
        if verb in _CHOICES:
            return self._choose(verb, words)
        if verb in ("acqtime", "trigdelay", "currthres"):
            return self._adjust(verb, words)
        if verb not in self._verbs:
            raise Refused("Command unknown")
        return self._verbs[verb](self, words, now_s)

    def _say(self, text: str) -> None:
        self.pty.reply(text.encode())

    def _choose(self, verb: str, words: Sequence[str]) -> str:
        if len(words) != 1 or words[0] not in _CHOICES[verb]:
            raise Refused(f"Argument must be one of {', '.join(_CHOICES[verb])}")
        self._set[verb] = words[0]
        return ""

    def _adjust(self, verb: str, words: Sequence[str]) -> str:
        _number(words, *_RANGES[verb], also=("inf",) if verb == "acqtime" else ())
        self._set[verb] = words[0]
        return ""

    def _do_freq(self, words: Sequence[str], _now_s: float) -> str:
        if _number(words, 1, 100e3) not in _RATES_HZ:
            raise Refused("Argument is no sampling frequency")
        self._set["freq"] = words[0]
        return ""

    def _do_volt(self, words: Sequence[str], now_s: float) -> str:
        if words == ["get"]:
            return fmt.ascii_samples(np.array([self._volt])).decode().strip()
        self._volt = _number(words, 1.8, 3.3)
        self.change(Change(now_s, "voltage", self._volt))
        self._calibrate(now_s)
        return ""

    def _calibrate(self, now_s: float) -> None:
        other = self.fault("calibration")
        lasts_ms = other.integer("ms") if other else _CALIBRATION_MS
        self._busy_until_s = now_s + lasts_ms * 1e-3

    def _do_pwr(self, words: Sequence[str], now_s: float) -> str:
        if words == ["get"]:
            return "on" if self._powered else "off"
        if not words or words[0] not in ("auto", "on", "off"):
            raise Refused("Argument must be one of auto, on, off, get")
        if self.fault("old-firmware") and words[0] == "off":
            raise Refused("Not possible")
        self._set["pwr"] = words[0]
        if words[0] != "auto":
            self._power(now_s, on=words[0] == "on")
        return ""

    def _do_targrst(self, words: Sequence[str], now_s: float) -> str:
        off_s = _number(words or ["0"], *_RANGES["targrst"])
        self._power(now_s, on=False)
        if off_s:
            self._power(now_s + off_s, on=True)
        return ""

    def _do_eventsrc(self, words: Sequence[str], _now_s: float) -> str:
        if len(words) != 2 or words[0] != "d7" or words[1] not in ("ris", "fal"):  # noqa: PLR2004
            raise Refused("Arguments must be d7 and one of ris, fal")
        kept = [] if self.fault("one-event-kind") else self._events
        self._events = [*(kind for kind in kept if kind != words[1]), words[1]]
        return ""

    def _do_psrst(self, _words: Sequence[str], now_s: float) -> str:
        self.streaming = False
        self._power(now_s, on=False)
        self._reset()
        self.change(Change(now_s, "voltage", self._volt))
        return ""

    def _do_start(self, _words: Sequence[str], now_s: float) -> str:
        if self.streaming or self._armed_s is not None:
            raise Refused("Acquisition is running")
        rate_hz = round(fmt.number(self._set["freq"]))
        if self._set["output"] == "energy" and rate_hz > _ENERGY_HZ:
            raise Refused("Sampling frequency too high for output energy")
        longest_s = _ASCII_S.get(rate_hz, math.inf)
        if self._set["format"] == "ascii_dec" and self._duration_s() > longest_s:
            raise Refused("Acquisition time too long for format and sampling frequency")
        if self._set["pwr"] == "auto" and not self._ran_before:
            self._power(now_s, on=True)
        self._ran_before = True
        self.sampler.set_rate(rate_hz)
        if self._set["trigsrc"] == "d7":
            self._armed_s = now_s
            self._look_for_trigger()
        return ""

    def _do_stop(self, _words: Sequence[str], now_s: float) -> str | None:
        self._armed_s = None
        if self.streaming:
            self.produce(now_s)
            self._complete(now_s, acknowledge="stop")
            return None
        self._say(f"\r\n{_PROMPT}ack stop\r\n\r\n{_PROMPT}Acquisition completed\r\n")
        return None

    def _do_lcd(self, words: Sequence[str], _now_s: float) -> str:
        if not words or words[0] not in ("1", "2"):
            raise Refused("Line must be 1 or 2")
        return ""

    def _do_temp(self, words: Sequence[str], _now_s: float) -> str:
        return "77" if words == ["degf"] else "25"

    def _do_version(self, _words: Sequence[str], _now_s: float) -> str:
        return "1.0.3" if self.fault("old-firmware") else "1.0.6"

    def _do_calib(self, _words: Sequence[str], now_s: float) -> str:
        self._calibrate(now_s)
        return ""

    _verbs: Mapping[str, Callable[[Lpm01a, Sequence[str], float], str | None]] = {
        "htc": lambda *_: "",
        "hrc": lambda *_: "",
        "echo": lambda _self, words, _now_s: " ".join(words),
        "powershield": lambda *_: "PowerShield present: 0123456789ABCDEF01234567",
        "range": lambda *_: "1000-10 5000-05",
        "status": lambda *_: "ok",
        "autotest": lambda *_: "ok",
        "version": _do_version,
        "volt": _do_volt,
        "freq": _do_freq,
        "pwr": _do_pwr,
        "targrst": _do_targrst,
        "eventsrc": _do_eventsrc,
        "psrst": _do_psrst,
        "start": _do_start,
        "stop": _do_stop,
        "lcd": _do_lcd,
        "temp": _do_temp,
        "calib": _do_calib,
    }

    # What happens to the board.

    def _power(self, at_s: float, *, on: bool) -> None:
        self._powered = on
        self.change(Change(at_s, "power", on))

    def no_client(self, now_s: float) -> None:
        """Go on supplying: this instrument does not care about its port."""

    def change(self, change: Change) -> None:
        """Put a change into the board's timeline; D7 may be what an acquisition waits for."""
        super().change(change)
        self._look_for_trigger()

    def _look_for_trigger(self) -> None:
        if self._armed_s is not None and self._wired:
            rise_s = self.timeline.rise_since(self._armed_s)
            if rise_s is not None:
                self._begin(rise_s)

    # The acquisition.

    def _duration_s(self) -> float:
        text = self._set["acqtime"]
        seconds = math.inf if text == "inf" else fmt.number(text)
        return seconds or math.inf

    def _begin(self, at_s: float) -> None:
        self._armed_s = None
        self._event = 0
        self._sum_a, self._low_a, self._high_a = 0.0, math.inf, 0.0
        samples = self._duration_s() * fmt.number(self._set["freq"])
        self.last = None if math.isinf(samples) else max(1, round(samples))
        self.start_stream(at_s)

    def _complete(self, now_s: float, acknowledge: str = "") -> None:
        """End the acquisition as the instrument does, with a summary."""
        self.streaming = False
        mean_a = self._sum_a / self.made if self.made else 0.0
        if self._set["acqmode"] == "stat" and self.made:
            self.pty.reply(fmt.ascii_samples(np.array([mean_a])))
        elif self._set["format"] == "bin_hexa":
            self.pty.reply(b"\xf0\xf4\xff\xff")
        if acknowledge:
            self._say(f"\r\n{_PROMPT}ack {acknowledge}\r\n\r\n")
        words = [f"{_PROMPT}Acquisition completed", "summary beg"]
        if self.made:
            figures = fmt.ascii_samples(np.array([self._low_a, self._high_a, mean_a])).decode()
            names = ("current min", "current max", "current mean")
            words += [f"{n}: {f}" for n, f in zip(names, figures.split(), strict=True)]
        self._say("\r\n".join([*words, "summary end", "", _PROMPT]))
        if self._set["pwrend"] == "off":
            self._power(now_s, on=False)

    def emit(self, block: Block) -> None:
        """Write samples, a time stamp before every 1000th, and events of D7 where they belong."""
        self._sum_a += float(block.current_a.sum())
        self._low_a = min(self._low_a, float(block.current_a.min()))
        self._high_a = max(self._high_a, float(block.current_a.max()))
        if self._set["acqmode"] == "stat":
            self.delivered += len(block.current_a)
            return
        keep = self.kept(block)
        trip = self.fault("overcurrent")
        ends = [self.unplug_at(block), trip.integer("at") - block.start if trip else None]
        end = min((e for e in ends if e is not None and 0 <= e < len(keep)), default=None)
        if end is not None:
            keep[end:] = False
        for at, text in self._insertions(block):
            self._send(block, keep, at)
            self.pty.offer(text, len(text))
        self._send(block, keep, len(keep))
        if end is not None:
            self._break_off(trip=end == ends[1])

    def _break_off(self, *, trip: bool) -> None:
        self.streaming = False
        if not trip:
            self.pty.unplug()
            return
        binary = self._set["format"] == "bin_hexa"
        self.pty.reply(b"\xf0\xf5\xff\xff" if binary else b"error: overcurrent\r\n")
        self._power(self.sampler.made_until_s, on=False)

    def _insertions(self, block: Block) -> Iterator[tuple[int, bytes]]:
        """Yield what stands before samples of the block: index within it, bytes."""
        self._sent = 0
        first = -block.start % _STAMP_EVERY
        stamps = range(first, len(block.current_a), _STAMP_EVERY)
        found = [(at, 0, self._stamp(block.start + at)) for at in stamps]
        if self._events and self._wired and self._set["format"] == "ascii_dec":
            for position, level in block.edges:
                kind = "ris" if level else "fal"
                if kind in self._events:
                    # Seen in the middle of a sample, as a logic input is.
                    at = min(max(0, round(position) - block.start), len(block.current_a))
                    word = kind if len(self._events) > 1 else "ris"
                    found.append((at, 1, f"event {self._event % 100:02d} {word}\r\n".encode()))
                    self._event += 1
        for at, _, text in sorted(found, key=lambda item: item[:2]):
            yield at, text

    def _stamp(self, index: int) -> bytes:
        ms = round(index * 1000 / fmt.number(self._set["freq"]))
        load = min(99, 100 * self.pty.pending // self._fifo_bytes)
        binary = self._set["format"] == "bin_hexa"
        return (fmt.binary_stamp if binary else fmt.ascii_stamp)(ms, load)

    def _send(self, block: Block, keep: NDArray[np.bool_], until: int) -> None:
        """Send the samples of the block that come before one, and are not sent yet."""
        part = slice(self._sent, until)
        self._sent = until
        values = block.current_a[part][keep[part]]
        index = block.start + part.start + np.flatnonzero(keep[part])
        if self._set["output"] == "energy":
            values = values * self._volt / fmt.number(self._set["freq"])
        binary = self._set["format"] == "bin_hexa"
        data = (fmt.binary_samples if binary else fmt.ascii_samples)(values)
        unit = fmt.BINARY_BYTES if binary else fmt.ASCII_BYTES
        taken = self.pty.offer(self.without_bytes(data, index, unit), unit)
        sent = -(-taken // unit)
        self.delivered += sent
        for start, count in runs(index[sent:]):
            self.lose(start, count, "overflow")


def _number(words: Sequence[str], low: float, high: float, also: Sequence[str] = ()) -> float:
    if len(words) == 1 and words[0] in also:
        return math.inf
    try:
        value = fmt.number(*words)
    except (TypeError, ValueError):
        raise Refused("Argument is no number") from None
    if not low <= value <= high:
        raise Refused(f"Argument out of range {low:g} to {high:g}")
    return value


def start(
    board: BoardConfig, edges_path: str | None, timeout_s: float, options: Sequence[str] = ()
) -> MeterProcess:
    """Start an LPM01A that supplies and measures an emulated board. See ``ppk2.start``.

    Raises:
        ConfigError: the board's table lacks something, or an LPM01A cannot show such a current.
        MeterError: the process died at once, or did not say its address in time.
        ToolMissingError: util-linux is not installed.
    """
    words = [*arguments(board, edges_path, LIMITS), *options]
    return MeterProcess("lpm01a", board.id, words, timeout_s)


def _make(options: argparse.Namespace) -> Lpm01a:
    return Lpm01a(options)


if __name__ == "__main__":
    sys.exit(main("lpm01a", "An X-NUCLEO-LPM01A", _make, FAULTS, "D7"))
