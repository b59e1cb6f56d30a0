"""The programs of the emulated Uno, built from source when first needed and kept in a cache.

The runner is linked with libsimavr and therefore a GPL program of its own (simavr_runner/README.md);
hilbench only starts it. The bootloader is ours.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from elftools.elf.elffile import ELFFile

from hilbench.errors import ToolMissingError

SOURCES = Path(__file__).parent / "simavr_runner"
RUNNER = "simavr-runner"
RUNNER_PACKAGES = "gcc libsimavr-dev"
BOOT_PACKAGES = "gcc-avr avr-libc"
BOOT_ADDRESS = 0x7E00
_RUNNER_COMMAND = (
    *("gcc", "-std=gnu99", "-O2", "-Wall", "-Wextra", "-I/usr/include/simavr"),
    *("runner.c", "usart.c", "-lsimavr"),
)
_BOOT_COMMAND = (
    *("avr-gcc", "-mmcu=atmega328p", "-std=c99", "-Os", "-mrelax", "-Wall", "-Wextra"),
    *("-nostartfiles", f"-Wl,--section-start=.text={BOOT_ADDRESS:#x}", "boot.c"),
)
_TIMEOUT_S = 120.0


@cache
def runner() -> Path:
    """Return the runner's program, building it if this source was not built before.

    Raises:
        ToolMissingError: no compiler or no libsimavr; names the install line.
    """
    return _built(RUNNER, _RUNNER_COMMAND, RUNNER_PACKAGES, "emulated AVR boards need it")


@cache
def bootloader(signature: int | None = None) -> bytes:
    """Return what stands at BOOT_ADDRESS; ``signature`` makes it answer for another chip.

    Raises:
        ToolMissingError: no AVR compiler or no avr-libc; names the install line.
    """
    define = () if signature is None else (f"-DHB_SIGNATURE=0x{signature:06X}",)
    why = "the emulated Uno's bootloader needs it"
    with _built("boot.elf", (*_BOOT_COMMAND, *define), BOOT_PACKAGES, why).open("rb") as file:
        (code,) = (s for s in ELFFile(file).iter_segments("PT_LOAD") if s["p_filesz"])
        return bytes(code.data())


def _built(name: str, command: Sequence[str], packages: str, why: str) -> Path:
    if (compiler := shutil.which(command[0])) is None:
        raise ToolMissingError(
            f"{command[0]} is not installed and {why}; install it with: apt-get install {packages}"
        )
    # What the preprocessor makes of it is what is compiled: headers and their versions included.
    text = _run(
        (compiler, *(a for a in command[1:] if not a.startswith(("-l", "-Wl"))), "-E", "-P")
    )
    if isinstance(text, bytes):
        key = hashlib.sha256(text + "\0".join(command).encode()).hexdigest()[:16]
        path = _cache_folder() / key / name
        if path.exists():
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            built = Path(folder) / name
            text = _run((compiler, *command[1:], "-o", str(built)))
            if isinstance(text, bytes):
                built.rename(path)  # whole or not at all, whoever else builds it
                return path
    raise ToolMissingError(
        f"{name} cannot be built and {why} ({text}); "
        f"install what it needs with: apt-get install {packages}"
    )


def _run(command: Sequence[str]) -> bytes | str:
    """Return what a compiler printed, or the line that says why it failed."""
    done = subprocess.run(
        command, cwd=SOURCES, capture_output=True, check=False, timeout=_TIMEOUT_S
    )
    if done.returncode == 0:
        return done.stdout
    lines = done.stderr.decode(errors="replace").splitlines()
    return next((line.strip() for line in lines if "error:" in line), f"exit {done.returncode}")


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "hilbench"
