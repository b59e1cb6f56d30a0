"""The serial port of a bootloader: which, is it there, and is it free?"""

from __future__ import annotations

import fcntl
import os

from hilbench.drivers._holders import holders
from hilbench.errors import ConfigError, FlashBusyError, FlashNotFoundError
from hilbench.interfaces import EmulatedBoard
from hilbench.records import BoardConfig


def bootloader_port(
    board: BoardConfig, emulated: EmulatedBoard | None, *, urls: bool = False
) -> str:
    """Return the board's port, checked to be there and in nobody's hands.

    Args:
        board: with ``serial`` resolved.
        emulated: its link address goes first.
        urls: the tool takes pyserial URLs, which are not checked.

    Raises:
        ConfigError: the board has no port, or one that the tool cannot open.
        FlashNotFoundError: not there, or may not be opened.
        FlashBusyError: another process has it; says which.
    """
    port = emulated.link_address if emulated is not None else board.serial
    tool = board.flasher.tool if board.flasher is not None else "the flasher"
    if not isinstance(port, str):
        raise ConfigError(
            f"board {board.id}: {tool} needs a serial port; add serial to [board.{board.id}]"
        )
    if "://" in port:
        if urls:
            return port
        raise ConfigError(
            f"board {board.id}: {tool} opens local ports only, not {port}; "
            "flash it on the computer that it is plugged into, or by a probe"
        )
    _check_free(board.id, port)
    return port


def refuse_emulated(board: BoardConfig, reaches: str) -> None:
    """Keep a tool that cannot reach an emulated board from writing to whatever is plugged in.

    Raises:
        ConfigError: always.
    """
    tool = board.flasher.tool if board.flasher is not None else "the flasher"
    raise ConfigError(
        f"board {board.id} is emulated; flasher {tool} reaches {reaches}: "
        f'use flasher = "emulator" in [board.{board.id}]'
    )


def _check_free(board_id: str, port: str) -> None:
    try:
        handle = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    except PermissionError:
        raise FlashNotFoundError(
            f"board {board_id}: port {port} may not be opened; "
            "join its group and log in again: usermod -aG dialout $USER"
        ) from None
    except OSError as error:
        if error.errno in {16, 11}:  # TIOCEXCL
            raise FlashBusyError(_busy(board_id, port)) from None
        raise FlashNotFoundError(
            f"board {board_id}: port {port} cannot be opened ({error.strerror}); "
            "is the board plugged in and powered? ports: hilbench boards scan"
        ) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # as pyserial and others lock
    except BlockingIOError:
        raise FlashBusyError(_busy(board_id, port)) from None
    finally:
        os.close(handle)
    if holders(port):
        raise FlashBusyError(_busy(board_id, port))


def _busy(board_id: str, port: str) -> str:
    who = ", ".join(f"{name} (pid {pid})" for pid, name in holders(port)) or "another process"
    return f"board {board_id}: port {port} is in use by {who}; end it, or wait until it has ended"
