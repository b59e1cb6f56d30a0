"""Who has a device open, as far as /proc shows."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def holders(port: str, proc: Path = Path("/proc")) -> list[tuple[int, str]]:
    """Return ``(pid, name)`` of the other processes that have a port open, by pid.

    An emulator that holds both ends of its own PTY is not somebody else.

    Args:
        port: a path, or a link to it.
        proc: where the processes are; for tests.
    """
    device = os.path.realpath(port)
    found = []
    for process in proc.glob("[0-9]*"):
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        # Gone meanwhile, or another user's.
        with contextlib.suppress(OSError):
            links = {fd.name: os.readlink(fd) for fd in (process / "fd").iterdir()}  # noqa: PTH115 - "socket:[1]" is no path
            if device in links.values() and not _is_master(process, links, device):
                found.append((int(process.name), (process / "comm").read_text().strip()))
    return sorted(found)


def _is_master(process: Path, links: dict[str, str], device: str) -> bool:
    index = f"tty-index:\t{device.removeprefix('/dev/pts/')}\n"
    return any(
        index in (process / "fdinfo" / fd).read_text()
        for fd, target in links.items()
        if target.endswith("ptmx")
    )
