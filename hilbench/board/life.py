"""One board's life: lock, start, flash, hello; then sessions; then off, whatever happened.

Everything above this module sees an ``OpenBoard`` and does not know whether it is emulated.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hilbench import plugins
from hilbench.board.client import BoardClient
from hilbench.board.locks import board_lock
from hilbench.board.watched import WatchedLink
from hilbench.errors import BoardError, ConfigError, ImageError
from hilbench.interfaces import EmulatedBoard
from hilbench.protocol.messages import ClockSource, HelloReply
from hilbench.records import BoardConfig, ClockInfo, Image, TimeBase

LOCK_WAIT_S = 30.0
UNITS: dict[TimeBase, str] = {
    "instructions": "instr",
    "cycles": "cycles",
    "host": "us",
    "time": "us",
}

OnState = Callable[[str], None]


@dataclass
class OpenBoard:
    """A flashed board that answers. Use ``start_session`` before each session."""

    config: BoardConfig
    image: Image
    client: BoardClient
    emulated: EmulatedBoard | None
    hello: HelloReply
    clock: ClockInfo
    _fresh: bool = True

    def start_session(self) -> HelloReply:
        """Reset the board and greet it; a board that was just flashed is not reset again.

        Raises:
            BoardError: silent, or another board or image than before.
        """
        if not self._fresh:
            if self.emulated is not None:
                self.emulated.check_alive()
                self.emulated.reset()
            else:
                self.client.reset()
            self.hello = self.client.hello()
            check_identity(self.config, self.image, self.hello)
        self._fresh = False
        return self.hello

    def explain(self, error: Exception) -> Exception:
        """Return the emulator's own death as the cause where that is what happened."""
        if self.emulated is not None:
            try:
                self.emulated.check_alive()
            except BoardError as death:
                return death
        return error


@contextlib.contextmanager
def open_board(
    config: BoardConfig,
    image: Image,
    on_state: OnState,
    on_emulator: Callable[[EmulatedBoard], None],
) -> Iterator[OpenBoard]:
    """Lock, start, flash and greet a board; powers it down on the way out.

    Args:
        config: the board's table.
        image: what to flash.
        on_state: told each step, for people.
        on_emulator: told the emulator as soon as it runs, so that Ctrl-C can stop it.

    Raises:
        BoardBusyError, ToolMissingError, FlashError, BoardError, ImageError, LinkError.
    """
    on_state("waiting")
    with contextlib.ExitStack() as stack:
        stack.enter_context(
            board_lock(config, LOCK_WAIT_S, lambda who: on_state(f"waiting: held by {who}"))
        )
        emulated = _start_emulator(config, stack, on_state, on_emulator)
        on_state("flashing")
        _flash(config, image, emulated)
        on_state("hello")
        address = emulated.link_address if emulated is not None else config.serial
        link = plugins.load("links", "serial").open_link(address, config.baud)
        stack.callback(link.close)
        if emulated is not None:
            link = WatchedLink(link, emulated)
        client = BoardClient(link, config.id, config.timeouts, baud=config.baud)
        try:
            hello = client.hello()
        except BoardError:
            if emulated is not None:
                emulated.check_alive()
            raise
        check_identity(config, image, hello)
        yield OpenBoard(config, image, client, emulated, hello, clock_info(hello, emulated))


def _start_emulator(
    config: BoardConfig,
    stack: contextlib.ExitStack,
    on_state: OnState,
    on_emulator: Callable[[EmulatedBoard], None],
) -> EmulatedBoard | None:
    if config.emulator is None:
        if config.serial is None:
            raise ConfigError(
                f"{config.source}: [board.{config.id}] has neither emulator nor serial; "
                "say where the board is"
            )
        return None
    on_state("starting")
    emulated: EmulatedBoard = plugins.load("emulators", config.emulator).start(
        config, config.timeouts.start_s
    )
    stack.callback(emulated.stop)
    on_emulator(emulated)
    return emulated


def _flash(config: BoardConfig, image: Image, emulated: EmulatedBoard | None) -> None:
    if config.flasher is None:
        return
    plugins.load("flashers", config.flasher.tool).flash(
        config, image, emulated, config.timeouts.flash_s
    )


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


def clock_info(hello: HelloReply, emulated: EmulatedBoard | None) -> ClockInfo:
    """Say what one tick of the board's counter means.

    Raises:
        BoardError: the board states no counter rate.
    """
    if hello.counter_hz == 0:
        raise BoardError(
            f"port {hello.port}: counter rate is 0 Hz, so ticks cannot become a time; "
            "set counter_hz in the port"
        )
    time_base: TimeBase = "time" if emulated is None else emulated.time_base
    per_tick = (
        1e6 / hello.counter_hz if emulated is None else emulated.units_per_tick(hello.counter_hz)
    )
    return ClockInfo(
        time_base=time_base,
        unit=UNITS[time_base],
        per_tick=per_tick,
        counter_hz=hello.counter_hz,
        source=ClockSource(hello.clock_source).name.lower(),
    )
