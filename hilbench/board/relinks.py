"""The same objects linked in other orders: what moves code and data without a change of either."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from hilbench.board.images import find_image
from hilbench.board.sources import FIRMWARE
from hilbench.errors import ImageError, ToolMissingError, UsageError
from hilbench.records import Image

_BUILD_S = 600.0


def relinks(
    port: str, count: int, seed: int, folder: Path, firmware: Path = FIRMWARE
) -> Iterator[Image]:
    """Build a port's objects once and link them ``count`` times, in random orders.

    Args:
        port: e.g. ``riscv-vexriscv``.
        count: links.
        seed: of the orders.
        folder: an empty one, for objects and images.
        firmware: ``device_firmware`` of a checkout.

    Yields:
        The images, one after the other; each has its own build id.

    Raises:
        UsageError: there are no sources: an installed package has images only.
        ToolMissingError: no make, or no compiler of the port.
        ImageError: not built.
    """
    if not (firmware / "ports" / port).is_dir():
        raise UsageError(
            f"{firmware} has no sources of port {port!r} to link anew; use a checkout of hilbench"
        )
    if shutil.which("make") is None:
        raise ToolMissingError("links need make; install it: apt-get install make")
    build = (folder / "build").resolve()
    common = [f"PORT={port}", f"BUILD={build}"]
    _make(port, firmware, common, "image")
    objects = _make(
        port, firmware, [*common, "--eval", "hb-objects: ; @echo $(OBJECTS)"], "hb-objects"
    ).split()
    rng = random.Random(seed)  # noqa: S311 - no secret
    images = folder / "images"
    for number in range(1, count + 1):
        rng.shuffle(objects)
        (build / "hilbench.elf").unlink()
        _make(port, firmware, [*common, f"OBJECTS={' '.join(objects)}"], "image")
        kept = images / str(number)
        kept.mkdir(parents=True)
        shutil.copy(build / "hilbench.elf", kept / f"{port}.elf")
        shutil.copy(build / "image.json", kept / f"{port}.json")
        yield find_image(port, firmware=kept, packaged=kept)


def _make(port: str, firmware: Path, settings: list[str], target: str) -> str:
    try:
        done = subprocess.run(
            ["make", "-s", "--no-print-directory", *settings, target],
            cwd=firmware,
            capture_output=True,
            text=True,
            timeout=_BUILD_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ImageError(
            f"a link of port {port} took longer than {_BUILD_S:g} s; try: make -C {firmware} PORT={port}"
        ) from error
    if done.returncode:
        why = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["no message"]
        raise ImageError(
            f"port {port} cannot be linked ({why[0]}); try: make -C {firmware} PORT={port}"
        )
    return done.stdout
