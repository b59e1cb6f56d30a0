"""ST X-NUCLEO-LPM01A "PowerShield": supplies the board, measures up to 50 mA, tells edges of D7.

What a bench should know:

- Outside an acquisition its rail does not hold a board that draws much: one of 55 mA reboots a
  hundred times in 6 s. So, while the supply is on and no capture runs, an acquisition in static mode
  (up to 200 mA) goes on, and the board can be flashed and talked to.
- A board that a stale "pwrend off" has cut looks like one that sleeps well: check its current
  (``powered_ma``) after ``set_supply``. This driver sets "pwrend on" and switches off itself.
- The first acquisition of a session may read high by 8 mA of 55: throw it away.
- It keeps supplying when its port closes: a process that is killed leaves the board on, until the
  meter is opened again.
- It has no logic samples. The level of D7 is made from its event lines, which stand between samples:
  an edge is known to one sample, and a pulse within one sample is not seen. Events come in ASCII
  only, so up to 5 kHz.

Ref: ST UM2243, UM2269.
"""

from __future__ import annotations

import os
import re
import threading
import time
import weakref
from collections.abc import Iterator

from hilbench.drivers._usb import Instrument
from hilbench.drivers.links.serial import is_instrument, list_ports
from hilbench.drivers.power._host_rate import HostRate
from hilbench.drivers.power._lpm01a_blocks import BLOCK, Blocks, Piece, chunk, pieces_of
from hilbench.drivers.power._lpm01a_dialogue import Dialogue, identify, set_voltage
from hilbench.drivers.power._lpm01a_port import Port
from hilbench.drivers.power._lpm01a_settings import MODEL, VOLT_LIMIT, VOLT_MAX, Settings, settings
from hilbench.errors import MeterError
from hilbench.power import CaptureEnd, Chunk, MeterIdentity, MeterSetup, MeterSpec
from hilbench.records import MeterConfig

INSTRUMENTS = (
    Instrument(  # 0483:5740 is what ST's CDC example is: many boards have it, so it needs a name
        "ST X-NUCLEO-LPM01A",
        frozenset({(0x0483, 0x5740)}),
        words=r"power ?shield|lpm01a",
        serial_number="FFFFFFFEFFFF",
    ),
)
_STOP_S = 5.0
_SLICE_S = 0.1  # close() by another thread waits so long for read()
_QUIET_S = 0.1
_AT_ONCE_BYTES = 1 << 20
_CONFIRMED_HZ = 500  # below, the next time stamp is too far away to wait for
_LOAD_LIMIT = 90  # percent of the meter's transmit buffer
_SUMMARY = re.compile(rb"summary beg(.*?)summary end", re.DOTALL)
_COMPLETED = b"Acquisition completed"


class Lpm01a:
    """One meter; see ``PowerMeter``."""

    def __init__(self, address: str, timeout_s: float) -> None:
        self._port = Port(address)
        # Whatever happens to this object, the board loses its supply.
        self._release = weakref.finalize(self, _release, self._port)
        self._dialogue = Dialogue(self._port)
        self._lock = threading.RLock()
        self._closing = False
        self._settings: Settings | None = None
        self._blocks: Blocks | None = None
        self._rate = HostRate()
        self._pieces: list[Piece] = []
        self._early = b""  # came together with the answer to "start"
        self._supplying = self._holding = False
        self._read_v = 0.0
        try:
            self._dialogue.silence(timeout_s)
            number, firmware = identify(self._dialogue, address, timeout_s)
            self._dialogue.command("pwr off", timeout_s)
        except BaseException:
            self._release.detach()  # an LPM01A or not, it got no supply from here
            self._port.close()
            raise
        self.identity = MeterIdentity(
            driver="lpm01a",
            model=MODEL,
            serial_number=number,
            firmware=firmware,
            address=address,
            emulated=os.path.realpath(address).startswith("/dev/pts/"),
            calibration="",
        )
        # Until configure(): the meter's best that still tells edges.
        self.spec: MeterSpec = settings(MeterSetup(VOLT_MAX, supplies=True)).spec()

    def configure(self, setup: MeterSetup) -> None:
        """Prepare a capture; takes 2 s, as the meter calibrates itself at the new voltage.

        Raises:
            ConfigError: the meter cannot do it; says what it can.
            MeterError: silent, unplugged, or refuses.
        """
        asked = settings(setup)
        with self._lock:
            self._idle("configure")
            self._end_hold()
            for command in asked.commands():
                self._dialogue.command(command)
            address = self.identity.address
            self._read_v = set_voltage(self._dialogue, address, asked.supply_v, VOLT_LIMIT)
            self._settings, self.spec = asked, asked.spec()

    def set_supply(self, *, on: bool) -> None:
        """Switch the board's supply.

        Raises:
            MeterError: silent, unplugged, refuses, not configured, or a capture runs.
        """
        with self._lock:
            self._configured()
            self._idle("set_supply")
            self._end_hold()
            self._dialogue.command(f"pwr {'on' if on else 'off'}")
            self._supplying = on
            if on:
                self._hold()

    def start(self) -> None:
        """Begin a capture at index 0.

        Raises:
            MeterError: silent, unplugged, refuses, not configured, or a capture runs.
        """
        with self._lock:
            configured = self._configured()
            self._idle("start")
            self._end_hold()
            blocks = Blocks(configured, self.identity.address)
            self._dialogue.command("start")
            self._rate, self._blocks, self._pieces = HostRate(), blocks, []
            self._early = self._dialogue.take()

    def read(self, timeout_s: float) -> Chunk | None:
        """Return what two time stamps confirm; None when there is nothing within ``timeout_s``.

        Raises:
            MeterError: unplugged; the meter tells an error; overcurrent; above the range; it has
                stopped by itself; the stream makes no sense.
        """
        deadline_s = time.monotonic() + timeout_s
        self._open("read")
        while not self._closing:
            with self._lock:
                blocks = self._running("read")
                left_s = deadline_s - time.monotonic()
                self._receive(blocks, 0.0 if self._early else min(_SLICE_S, max(0.0, left_s)))
                if self._pieces:
                    return self._chunk()
                if blocks.ended:
                    raise MeterError(
                        f"the LPM01A at {self.identity.address} has ended the capture by itself "
                        f"after {blocks.position / self.spec.sample_hz:.3f} s; capture again"
                    )
                if left_s <= 0:
                    return None
        return None

    def stop(self) -> tuple[Chunk | None, CaptureEnd]:
        """End the capture with the next time stamp, so that all that came before is confirmed.

        Raises:
            MeterError: as ``read``, or it does not stop.
        """
        with self._lock:
            blocks = self._running("stop")
            try:
                confirmed = self._confirm(blocks)
            finally:
                self._blocks = None
                words = self._stop()
            if not confirmed and not blocks.ended:
                self._pieces += [*blocks.feed(words), *blocks.finish()]
            last = self._chunk() if self._pieces else None
            if self._supplying:
                self._hold()
            return last, self._account(blocks, words)

    def close(self) -> None:
        """Switch the supply off, give control back, release the port; may be called twice.

        Raises:
            MeterError: it does not confirm that the supply is off.
        """
        self._closing = True
        with self._lock:
            self._release()

    def _receive(self, blocks: Blocks, timeout_s: float) -> None:
        early, self._early = self._early, b""
        self._pieces += blocks.feed(early)
        received = 0
        while received < _AT_ONCE_BYTES and (data := self._port.read(timeout_s)):
            received += len(data)
            timeout_s = 0.0
            stamps = blocks.stamps
            self._pieces += blocks.feed(data)
            if blocks.stamps > stamps:
                self._rate.add(time.monotonic(), blocks.stamped)

    def _chunk(self) -> Chunk:
        pieces, self._pieces = self._pieces, []
        return chunk(pieces, self._configured(), self.identity.address)

    def _confirm(self, blocks: Blocks) -> bool:
        """Read up to the next time stamp; False when it is not worth it or does not come."""
        sample_hz = self._configured().sample_hz
        if sample_hz < _CONFIRMED_HZ or blocks.ended:
            return False
        self._receive(blocks, 0.0)  # what has waited in the line
        stamps = blocks.stamps
        deadline_s = time.monotonic() + BLOCK / sample_hz + 1.0
        while blocks.stamps == stamps and time.monotonic() < deadline_s:
            self._receive(blocks, _SLICE_S)
        return blocks.stamps > stamps

    def _stop(self) -> bytes:
        """Stop the acquisition that runs; return what was sent until then."""
        self._port.write(b"stop\r\n", _STOP_S)
        deadline_s = time.monotonic() + _STOP_S
        words = bytearray()
        while _COMPLETED not in words:
            if time.monotonic() > deadline_s:
                raise MeterError(
                    f"the LPM01A at {self.identity.address} does not stop within {_STOP_S:g} s; "
                    f"press its reset button"
                )
            words += self._port.read(_SLICE_S)
        # The summary follows at once; older firmware has none.
        while b"summary end" not in words and time.monotonic() < deadline_s:
            if not (data := self._port.read(_QUIET_S)):
                break
            words += data
        return bytes(words)

    def _account(self, blocks: Blocks, words: bytes) -> CaptureEnd:
        lost = sum(gap.samples for gap in blocks.gaps)
        rate_hz, rate_u = self._rate.result()
        notes = [f"the meter reads {self._read_v:.3f} V of its own supply", *blocks.notes]
        if blocks.load_percent >= _LOAD_LIMIT:
            notes.append(f"the meter's transmit buffer was {blocks.load_percent} % full")
        if summary := _SUMMARY.search(words):
            lines = summary[1].decode("ascii", "replace").replace("PowerShield >", "").split("\n")
            notes.append("summary: " + "; ".join(filter(None, map(str.strip, lines))))
        return CaptureEnd(
            samples=blocks.position - lost,
            lost=lost,
            gaps=tuple(blocks.gaps),
            rate_hz=rate_hz,
            rate_u=rate_u,
            notes=tuple(notes),
        )

    def _hold(self) -> None:
        """Keep the rail up in an acquisition of which nobody takes samples."""
        self._dialogue.command("acqmode stat")
        self._dialogue.command("start")
        self._holding = True

    def _end_hold(self) -> None:
        if self._holding:
            self._holding = False
            self._stop()
            self._dialogue.command("acqmode dyn")

    def _configured(self) -> Settings:
        if self._settings is None:
            raise MeterError(
                f"the LPM01A at {self.identity.address} is not configured; call configure() first"
            )
        return self._settings

    def _idle(self, what: str) -> None:
        self._open(what)
        if self._blocks is not None:
            raise MeterError(
                f"the LPM01A at {self.identity.address} captures: {what}() has to wait; call stop() "
                f"first"
            )

    def _running(self, what: str) -> Blocks:
        self._open(what)
        if self._blocks is None:
            raise MeterError(
                f"the LPM01A at {self.identity.address} does not capture: {what}() has nothing to "
                f"do; call start() first"
            )
        return self._blocks

    def _open(self, what: str) -> None:
        if self._closing:
            raise MeterError(
                f"the LPM01A at {self.identity.address} is closed: no {what}(); open it again"
            )


def _release(port: Port) -> None:
    """Stop, supply off, control back, port closed. Unplugged, it supplies nothing any more."""
    dialogue = Dialogue(port)
    try:
        dialogue.silence(_STOP_S)
        dialogue.command("pwr off", _STOP_S)
        dialogue.command("hrc", _STOP_S)
    except MeterError as error:
        if not port.gone:
            raise MeterError(
                f"the LPM01A at {port.address} does not confirm that the board's supply is off; take "
                f"out its USB cable: {error}"
            ) from error
    finally:
        port.close()


def open_meter(config: MeterConfig, address: str, timeout_s: float) -> Lpm01a:  # noqa: ARG001 - interface
    """Open and identify a meter; its supply is off then.

    Raises:
        MeterBusyError: another process has it.
        MeterError: silent, no LPM01A, firmware older than 1.0.6, or it reports an error of its own.
    """
    return Lpm01a(address, timeout_s)


def find() -> list[tuple[str, str]]:
    """Return address and serial number of the LPM01As that are plugged in."""
    return [
        (port.device, port.serial_number or "")
        for port in list_ports()
        if (is_instrument(port) or "").endswith("LPM01A")
    ]


def decode(
    raw: bytes,
    identity: MeterIdentity,
    setup: MeterSetup,
    start: int,
) -> Iterator[Chunk]:
    """Yield chunks again from the ``raw`` of consecutive ones, one per block or hole.

    Raises:
        ConfigError: the setup is none of this meter.
        MeterError: the evidence is not whole.
    """
    asked = settings(setup)
    for piece in pieces_of(raw, start, asked):
        yield chunk([piece], asked, identity.address)
