"""The serial port of a bootloader: which, is it there, and is it free?"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from hilbench.errors import ConfigError, FlashBusyError, FlashNotFoundError
from hilbench.interfaces import EmulatedBoard
from hilbench.records import BoardConfig

_PROC = Path("/proc")


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


def holders(port: str) -> list[tuple[int, str]]:
    """Return ``(pid, name)`` of the other processes that have a port open, as far as /proc shows.

    An emulator that holds both ends of its own PTY is not somebody else.
    """
    device = os.path.realpath(port)
    found = []
    for process in _PROC.iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        # Gone meanwhile, or another user's.
        with contextlib.suppress(OSError):
            links = {fd.name: os.readlink(fd) for fd in (process / "fd").iterdir()}  # noqa: PTH115 - "socket:[1]" is no path
            if device in links.values() and not _is_master(process, links, device):
                found.append((int(process.name), (process / "comm").read_text().strip()))
    return found


def _is_master(process: Path, links: dict[str, str], device: str) -> bool:
    index = f"tty-index:\t{device.removeprefix('/dev/pts/')}\n"
    return any(
        index in (process / "fdinfo" / fd).read_text()
        for fd, target in links.items()
        if target.endswith("ptmx")
    )
