"""One board's life: lock, power, start, flash, hello; then sessions; then off, whatever happened.

Everything above this module sees an ``OpenBoard`` and does not know whether it is emulated.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date

from hilbench.board.access import Access
from hilbench.board.client import BoardClient
from hilbench.board.ladder import climb, flash, rungs
from hilbench.board.locks import board_lock
from hilbench.board.metering import Metering, open_metering
from hilbench.board.quarantine import check_quarantine
from hilbench.errors import BoardBusyError, BoardError, ImageError, LinkError, MeterError
from hilbench.interfaces import EmulatedBoard
from hilbench.protocol.messages import ClockSource, HelloReply
from hilbench.records import BoardConfig, ClockInfo, Image, TimeBase

LOCK_WAIT_S = 30.0
UNITS: dict[TimeBase, str] = {
    "instructions": "instr",
    "cycles": "cycles",
    "host": "us",
    "time": "us",
    "unknown": "ticks",
}
PTY_FOLDER = "/dev/pts/"

OnState = Callable[[str], None]


@dataclass
class OpenBoard:
    """A board that answers. Use ``start_session`` before each session.

    Attributes:
        client: replaced when the board had to be brought back; ask for it after ``start_session``.
        recoveries: a line for each time that a plain reset was not enough: what worked, what did
            not, and what it began with. A fact of every row that is measured afterwards.
    """

    config: BoardConfig
    image: Image
    client: BoardClient
    hello: HelloReply
    clock: ClockInfo
    access: Access
    fresh: bool  # flashed and greeted just now: the first session needs no reset
    recoveries: list[str] = field(default_factory=list)
    metering: Metering | None = None  # None: no meter that gives samples

    @property
    def emulated(self) -> EmulatedBoard | None:
        """The emulator that runs now; None of a real board."""
        return self.access.emulated

    @property
    def emulated_by(self) -> str | None:
        """The emulator's name and version, what is known of one that is not ours, None: hardware."""
        if self.emulated is not None:
            return self.emulated.emulator
        address = self.access.address()
        return f"unknown, behind the PTY {address}" if is_pty(address) else None

    def start_session(self) -> HelloReply:
        """Reset the board and greet it; a board that was just flashed is not reset again.

        A board that does not come back is brought back by the reset ladder, which ``recoveries``
        then says.

        Raises:
            BoardError: silent whatever was tried, or another board than before.
            BoardBusyError: another process has the port.
            ImageError: another image than before.
        """
        if self.fresh:
            self.fresh = False
            return self.hello
        try:
            self.hello = self._reset()
        except BoardBusyError:
            raise
        except (BoardError, LinkError) as error:
            ladder = rungs(self.access, after_flash=False)
            found = climb(self.config.id, ladder, error)
            self.client, self.hello = found.client, found.hello
            self.recoveries.append(found.story)
        check_identity(self.config, self.image, self.hello)
        return self.hello

    def _reset(self) -> HelloReply:
        if self.emulated is not None:
            self.emulated.check_alive()
            self.emulated.reset()
            return self.client.hello()
        try:
            return self.client.reset()
        except LinkError:  # a board with a USB port of its own takes it away with the reset
            self.client = self.access.connect(self.config.timeouts.start_s)
            return self.client.hello()

    def check_meter(self) -> None:
        """Refuse a session after the meter has failed: it may even have been the supply.

        Raises:
            MeterError: what ended an earlier session.
        """
        if self.metering is not None and (failure := self.metering.failure()) is not None:
            raise MeterError(
                f"board {self.config.id}: not measured, because its meter failed before: {failure}"
            )

    def cut(self) -> None:
        """Take the supply away, where hilbench has it, from a board that another thread uses.

        Its link stays: a port that closes under a thread may become another file's descriptor. The
        thread hears of it when the line is quiet.
        """
        self.access.interrupt()
        if self.metering is not None:
            self.metering.close()
        if self.access.switch is not None:
            timeout_s = self.config.timeouts.start_s
            self.access.switch.set_power(on=False, timeout_s=timeout_s)

    def explain(self, error: Exception) -> Exception:
        """Return the death of emulator or meter as the cause where that is what happened."""
        if self.emulated is not None:
            try:
                self.emulated.check_alive()
            except BoardError as death:
                return death
        if self.metering is not None and isinstance(error, BoardError | LinkError):
            return self.metering.failure() or error  # a board falls silent without its supply
        return error


@contextlib.contextmanager
def open_board(
    config: BoardConfig,
    image: Image,
    on_state: OnState,
    on_emulator: Callable[[EmulatedBoard], None],
) -> Iterator[OpenBoard]:
    """Lock, power, start, flash and greet a board; powers it down on the way out.

    Args:
        config: the board's table.
        image: what to flash.
        on_state: told each step, for people.
        on_emulator: told the emulator as soon as it runs, so that Ctrl-C can stop it.

    Raises:
        BoardQuarantinedError: before anything is touched.
        ConfigError: the meter's supply is above what the board bears.
        BoardBusyError, ToolMissingError, FlashError, BoardError, ImageError, LinkError, MeterError.
    """
    check_quarantine(config, date.today())  # noqa: DTZ011 - the day on the bench's calendar
    on_state("waiting")
    with contextlib.ExitStack() as stack:
        stack.enter_context(
            board_lock(config, LOCK_WAIT_S, lambda who: on_state(f"waiting: held by {who}"))
        )
        access = Access(config, image, on_emulator)
        stack.callback(access.stop_emulator)
        if config.emulator is not None:
            on_state("starting")
        access.start_emulator()
        stack.enter_context(access.powered(on_state))
        metering = stack.enter_context(open_metering(config, access.emulated, on_state))
        stack.callback(access.disconnect)
        on_state("flashing" if config.flasher else "connecting")
        switched = access.switch is not None or config.meter.supplies
        boot_s = config.timeouts.start_s if switched else 0.0
        flashed, story = flash(access, boot_s, lambda: on_state("bringing back"))
        recoveries = [] if story is None else [story]
        on_state("hello")
        try:
            client = access.connect(config.timeouts.start_s if flashed else boot_s)
            hello = client.hello()
        except BoardBusyError:
            raise
        except (BoardError, LinkError) as error:
            if access.emulated is not None:
                access.emulated.check_alive()
            on_state("bringing back")
            found = climb(config.id, rungs(access, after_flash=True), error)
            client, hello = found.client, found.hello
            recoveries.append(found.story)
        check_identity(config, image, hello)
        clock = clock_info(hello, access.emulated, access.address())
        yield OpenBoard(config, image, client, hello, clock, access, flashed, recoveries, metering)


def check_identity(config: BoardConfig, image: Image, hello: HelloReply) -> None:
    """Refuse a board that is not who boards.toml says, or runs another image than was flashed.

    Raises:
        BoardError: port or chip differ.
        ImageError: build id differs.
    """
    if hello.port != config.firmware:
        raise BoardError(
            f"board {config.id}: the firmware says it is {hello.port!r}, {config.source} says "
            f"firmware = {config.firmware!r}; correct the table or flash the right image"
        )
    if config.chip and hello.chip != config.chip:
        raise BoardError(
            f"board {config.id}: the firmware says its chip is {hello.chip!r}, {config.source} "
            f"says chip = {config.chip!r}; is this the right board?"
        )
    if hello.build_id.hex() != image.build_id:
        raise ImageError(
            f"board {config.id}: answers with image {hello.build_id.hex()[:12]}, but "
            f"{image.build_id[:12]} ({image.path.name} of {image.port}) was to be measured; "
            "flash it again"
        )


def is_pty(address: str) -> bool:
    """Return whether a program is behind the address: no hardware is, whatever its table says."""
    return "://" not in address and os.path.realpath(address).startswith(PTY_FOLDER)


def clock_info(hello: HelloReply, emulated: EmulatedBoard | None, address: str) -> ClockInfo:
    """Say what one tick of the board's counter means.

    Behind a PTY that hilbench did not open stands a program whose time nobody knows.

    Raises:
        BoardError: the board states no counter rate.
    """
    if hello.counter_hz == 0:
        raise BoardError(
            f"port {hello.port}: counter rate is 0 Hz, so ticks cannot become a time; "
            "set counter_hz in the port"
        )
    time_base: TimeBase
    if emulated is not None:
        time_base, per_tick = emulated.time_base, emulated.units_per_tick(hello.counter_hz)
    elif is_pty(address):
        time_base, per_tick = "unknown", 1.0
    else:
        time_base, per_tick = "time", 1e6 / hello.counter_hz
    return ClockInfo(
        time_base=time_base,
        unit=UNITS[time_base],
        per_tick=per_tick,
        counter_hz=hello.counter_hz,
        source=ClockSource(hello.clock_source).name.lower(),
    )
