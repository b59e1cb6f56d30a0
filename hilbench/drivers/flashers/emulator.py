"""Flash an emulated board: the emulator knows how, through its debug probe or by starting it."""

from __future__ import annotations

from hilbench.errors import ConfigError
from hilbench.interfaces import EmulatedBoard
from hilbench.records import BoardConfig, Image


def flash(
    board: BoardConfig,
    image: Image,
    emulated: EmulatedBoard | None,
    timeout_s: float,  # noqa: ARG001 - the emulator took its deadline from the board
) -> None:
    """Put the image into the emulated board and start it.

    Raises:
        ConfigError: the board has no emulator.
        FlashError: not written, or read back differently.
    """
    if emulated is None:
        raise ConfigError(
            f'board {board.id}: flasher = "emulator" needs an emulator; add emulator = "qemu" or '
            f'"native" to [board.{board.id}], or name the flasher of a real board'
        )
    emulated.flash(image)
