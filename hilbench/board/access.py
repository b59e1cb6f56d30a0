"""What can be done to one board from outside: find its port, connect, flash, reset, switch it.

Holds at most one connection, and none while somebody else needs the port.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from hilbench import plugins
from hilbench.board.client import BoardClient
from hilbench.board.tap import tapped
from hilbench.board.watched import WatchedLink
from hilbench.board.wear import count_flash, read_wear, wear_path
from hilbench.errors import (
    BoardBusyError,
    BoardError,
    ConfigError,
    FlashTimeoutError,
    FlashVerifyError,
    FlashWriteError,
    HilbenchError,
    LinkError,
)
from hilbench.interfaces import EmulatedBoard, Link, PowerSwitch
from hilbench.records import BoardConfig, Image, SerialMatch

_LOOK_S = 0.1
_WEARING = (FlashWriteError, FlashVerifyError, FlashTimeoutError)  # the flash may be written to
_OFF_S = 1.0  # long enough for the capacitors of a board


class Access:
    """One board, locked by this process.

    Args:
        config: the board's table.
        image: what ``flash`` puts there.
        on_emulator: told each emulator as soon as it runs, so that Ctrl-C can stop it.

    Attributes:
        emulated: the running emulator, None of a real board and before ``start_emulator``.
    """

    def __init__(
        self, config: BoardConfig, image: Image, on_emulator: Callable[[EmulatedBoard], None]
    ) -> None:
        self.config = config
        self.image = image
        self.emulated: EmulatedBoard | None = None
        self._on_emulator = on_emulator
        self.switch: PowerSwitch | None = None
        self._link: Link | None = None
        self._interrupted = threading.Event()
        if config.power is not None:
            self.switch = plugins.load("switches", config.power.driver).open_switch(config)

    def interrupt(self) -> None:
        """End whatever another thread waits for on the link, within a quarter of a second."""
        self._interrupted.set()

    def _check(self) -> None:
        """Say why the board is silent.

        Raises:
            BoardError: a person has interrupted, or the emulator has died.
        """
        if self._interrupted.is_set():
            raise BoardError(f"board {self.config.id}: interrupted; run it again")
        if self.emulated is not None:
            self.emulated.check_alive()

    # -- port -----------------------------------------------------------------------------------

    def address(self) -> str:
        """Return where the board is now; its path may change whenever it re-enumerates.

        Raises:
            ConfigError: the table does not say.
            BoardError: no port, or several, are what the table matches.
        """
        if self.emulated is not None:
            return self.emulated.link_address
        if self.config.serial is None:
            raise ConfigError(
                f"{self.config.source}: [board.{self.config.id}] has neither emulator nor serial; "
                "say where the board is"
            )
        return resolve_port(self.config.serial, self.config.id)

    def connect(self, wait_s: float = 0.0) -> BoardClient:
        """Find and open the port, anew if it is open; a port may take ``wait_s`` to appear.

        Raises:
            BoardBusyError: another process has the port.
            BoardError, LinkError: no such port, or it cannot be opened.
        """
        self.disconnect()
        if self.emulated is not None:
            wait_s = 0.0  # its port is there for as long as the emulator is
        deadline_s = time.monotonic() + wait_s
        while True:
            try:
                link = plugins.load("links", "serial").open_link(self.address(), self.config.baud)
                break
            except BoardBusyError:
                raise
            except (BoardError, LinkError):
                if time.monotonic() >= deadline_s:
                    raise
                time.sleep(_LOOK_S)
        link = tapped(link, self.config.id)
        self._link = WatchedLink(link, self._check)
        return BoardClient(self._link, self.config.id, self.config.timeouts, baud=self.config.baud)

    def disconnect(self) -> None:
        """Close the port; may be called twice."""
        if self._link is not None:
            self._link.close()
            self._link = None

    # -- emulator -------------------------------------------------------------------------------

    def start_emulator(self) -> None:
        """Start the board's emulator, anew if it runs; nothing for a real board.

        Raises:
            ToolMissingError, BoardError, ConfigError.
        """
        self.stop_emulator()
        if self.config.emulator is not None:
            driver = plugins.load("emulators", self.config.emulator)
            emulated: EmulatedBoard = driver.start(self.config, self.config.timeouts.start_s)
            self.emulated = emulated
            self._on_emulator(emulated)

    def stop_emulator(self) -> None:
        """Close the port and end the emulator; may be called twice."""
        self.disconnect()
        if self.emulated is not None:
            self.emulated.stop()

    def restart(self) -> None:
        """Start the emulator anew, with an erased chip, and flash it: its power cycle.

        Raises:
            ToolMissingError, BoardError, ConfigError, FlashError.
        """
        self.start_emulator()
        self.flash()

    # -- flash, reset, power --------------------------------------------------------------------

    def flash(self, *, wait_s: float = 0.0) -> bool:
        """Put the image onto the board; False when its table has no flasher.

        Args:
            wait_s: how long the port may take to appear.

        Raises:
            ToolMissingError, FlashError, BoardError, LinkError: of the tool, the port, the flash count.
        """
        config = self.config
        if config.flasher is None:
            return False
        driver = plugins.load("flashers", config.flasher.tool)
        self.disconnect()
        if self.emulated is not None:
            driver.flash(config, self.image, self.emulated, config.timeouts.flash_s)
            return True
        if config.serial is not None:
            config = replace(config, serial=self._await_address(wait_s))
        wear = wear_path(self.config)
        read_wear(self.config, wear)  # one that cannot be counted is not begun
        try:
            driver.flash(config, self.image, None, config.timeouts.flash_s)
        except _WEARING as error:
            try:
                count_flash(self.config, wear)
            except BoardError as second:
                error.add_note(f"and it was not counted: {second}")
            raise
        count_flash(self.config, wear)
        return True

    def _await_address(self, wait_s: float) -> str:
        deadline_s = time.monotonic() + wait_s
        while True:
            try:
                return self.address()
            except BoardError:
                if time.monotonic() >= deadline_s:
                    raise
                time.sleep(_LOOK_S)

    def pulse(self) -> None:
        """Pulse the port's control lines.

        Raises:
            BoardError, LinkError: no such lines, no such port.
        """
        self.disconnect()
        plugins.load("links", "control_lines").pulse_reset(self.address(), self.config.baud)

    def power_cycle(self) -> None:
        """Switch off and on again.

        Raises:
            BoardError: there is no switch, or it did not switch.
        """
        if self.switch is None:
            raise BoardError(
                f"board {self.config.id}: has no power switch; add [board.{self.config.id}.power]"
            )
        self.disconnect()
        self.switch.cycle(_OFF_S, self.config.timeouts.start_s)

    @contextlib.contextmanager
    def powered(self, on_state: Callable[[str], None]) -> Iterator[None]:
        """Switch on, and off at the end whatever happened; nothing without a switch.

        Raises:
            BoardError: the switch did not switch; an error of the block goes first.
        """
        if self.switch is None:
            yield
            return
        timeout_s = self.config.timeouts.start_s
        on_state("power on")
        try:
            self.switch.set_power(on=True, timeout_s=timeout_s)
            yield
        except BaseException as error:
            try:
                self.switch.set_power(on=False, timeout_s=timeout_s)
            except HilbenchError as second:
                error.add_note(f"and it was not switched off: {second}")
                on_state(f"still powered: {second}")
            raise
        self.disconnect()
        self.switch.set_power(on=False, timeout_s=timeout_s)


def resolve_port(serial: str | SerialMatch, board_id: str) -> str:
    """Return the path or URL of a real board's port.

    Raises:
        BoardError: no port, or several, are what the table matches, or it is an instrument's.
    """
    return str(plugins.load("links", "serial").resolve(serial, board_id))
