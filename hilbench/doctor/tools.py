"""Are the programs there that the boards of a boards file need, and which versions?"""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from hilbench import plugins
from hilbench.board.images import find_image
from hilbench.board.sources import FIRMWARE
from hilbench.doctor.check import Check
from hilbench.errors import ImageError
from hilbench.records import BoardConfig

_LIMIT_S = 10.0


@dataclass(frozen=True)
class Tool:
    """A program, or with ``distribution`` a Python package."""

    name: str
    install: str
    version_args: tuple[str, ...] = ("--version",)
    distribution: bool = False


_GCC = "apt-get install gcc libc6-dev"
TOOLS = {
    ("emulator", "native"): Tool("setpriv", "apt-get install util-linux"),
    ("emulator", "qemu"): Tool("qemu-system-arm", "apt-get install qemu-system-arm"),
    ("flasher", "avrdude"): Tool("avrdude", "apt-get install avrdude", ("-?",)),
    ("flasher", "esptool"): Tool("esptool", "pip install 'hilbench[esptool]'", distribution=True),
    ("flasher", "gdb"): Tool("gdb-multiarch", "apt-get install gdb-multiarch"),
    ("flasher", "openocd"): Tool("openocd", "apt-get install openocd"),
    ("flasher", "pyocd"): Tool("pyocd", "pip install 'hilbench[pyocd]'", distribution=True),
    ("flasher", "stm32flash"): Tool("stm32flash", "apt-get install stm32flash", ("-h",)),
    ("switch", "uhubctl"): Tool("uhubctl", "apt-get install uhubctl", ("-v",)),
    ("compiler", "gcc"): Tool("gcc", _GCC),
    ("compiler", "arm-none-eabi-gcc"): Tool(
        "arm-none-eabi-gcc", "apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi"
    ),
    ("compiler", "avr-gcc"): Tool("avr-gcc", "apt-get install gcc-avr avr-libc"),
    ("compiler", "riscv64-unknown-elf-gcc"): Tool(
        "riscv64-unknown-elf-gcc",
        "apt-get install gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf",
    ),
}


def check_tools(
    boards: Iterable[BoardConfig], version: Callable[[Tool], str | None] | None = None
) -> list[Check]:
    """Return a check for each program that emulators, flashers and switches of these boards need.

    Args:
        boards: whose programs to look for.
        version: what to ask for a tool's version; None when it is absent. For tests.
    """
    needed: dict[tuple[str, str], list[str]] = {}
    others: dict[str, None] = {}  # emulators of more than one program; in order
    for board in boards:
        for kind, name in _drivers(board):
            if (kind, name) in TOOLS:
                needed.setdefault((kind, name), []).append(board.id)
            elif kind == "emulator":
                others[name] = None
    ask = find_version if version is None else version
    checks = [_tool(TOOLS[key], users, ask) for key, users in needed.items()]
    return checks + [_emulator(name) for name in others]


def _drivers(board: BoardConfig) -> list[tuple[str, str]]:
    return [
        *([("emulator", board.emulator)] if board.emulator else []),
        *([("flasher", board.flasher.tool)] if board.flasher else []),
        *([("switch", board.power.driver)] if board.power else []),
    ]


def _tool(tool: Tool, users: Sequence[str], ask: Callable[[Tool], str | None]) -> Check:
    found = ask(tool)
    if found is None:
        fact = f"not installed; needed by {', '.join(users)}"
        return Check(tool.name, "failed", fact, f"install it with: {tool.install}")
    return Check(tool.name, "ok", found)


def _emulator(name: str) -> Check:
    driver = plugins.load("emulators", name)
    missing = str(driver.missing_tool()) if hasattr(driver, "missing_tool") else ""
    if not missing:
        return Check(f"emulator {name}", "ok", "nothing known to be missing")
    fact, _, step = missing.partition("; ")
    return Check(f"emulator {name}", "failed", fact, step)


def check_images(
    boards: Iterable[BoardConfig],
    compiler: Callable[[str], str] | None = None,
    version: Callable[[Tool], str | None] | None = None,
) -> list[Check]:
    """Return a check for the firmware image of each port and one for each compiler.

    A compiler that is absent only fails where an image must be built.

    Args:
        boards: whose firmware to look for.
        compiler: port to its compiler, "" outside a checkout. For tests.
        version: as for :func:`check_tools`.
    """
    ask = find_version if version is None else version
    checks, compilers = [], dict[str, bool]()  # compiler to whether it is needed now
    for port in dict.fromkeys(board.firmware for board in boards):
        try:
            image = find_image(port)
        except ImageError as error:
            fact, _, step = str(error).partition("; ")
            checks.append(Check(f"image {port}", "failed", fact, step))
            missing = True
        else:
            checks.append(Check(f"image {port}", "ok", f"build {image.build_id[:12]}"))
            missing = False
        if name := (compiler or compiler_of)(port):
            compilers[name] = compilers.get(name, False) or missing
    for name, needed in compilers.items():
        tool = TOOLS.get(("compiler", name), Tool(name, f"install {name}"))
        found = ask(tool)
        if found is not None:
            checks.append(Check(name, "ok", found))
        else:
            fact = "not installed; " + ("an image must be built" if needed else "images are built")
            step = f"install it with: {tool.install}"
            checks.append(Check(name, "failed" if needed else "warn", fact, step))
    return checks


def compiler_of(port: str) -> str:
    """Return the compiler that a port's makefile names; "" where there are no sources."""
    if not (FIRMWARE / "ports" / port / "port.mk").exists() or shutil.which("make") is None:
        return ""
    argv = ["make", "-s", "--no-print-directory", "-C", str(FIRMWARE), f"PORT={port}", "compiler"]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def find_version(tool: Tool) -> str | None:
    """Return a tool's version, "installed, version unknown" if it does not say; None: absent."""
    if tool.distribution:
        try:
            return importlib.metadata.version(tool.name)
        except importlib.metadata.PackageNotFoundError:
            return None
    if (path := shutil.which(tool.name)) is None:
        return None
    unknown = "installed, version unknown"
    try:
        done = subprocess.run(
            [path, *tool.version_args],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return unknown
    found = re.search(r"\b\d+\.\d+(\.\d+)*", done.stdout + done.stderr)
    return found[0] if found else unknown
