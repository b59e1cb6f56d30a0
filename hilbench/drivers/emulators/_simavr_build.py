"""The programs of the emulated Uno, built from source when first needed and kept in a cache.

The runner is linked with libsimavr and therefore a GPL program of its own (simavr_runner/README.md);
hilbench only starts it. The bootloader is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from elftools.elf.elffile import ELFFile

from hilbench.drivers.emulators._compile import compiled

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
    return compiled(name, command, SOURCES, install=f"apt-get install {packages}", why=why)
