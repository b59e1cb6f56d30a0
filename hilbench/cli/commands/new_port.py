"""``hilbench new-port``: a folder for a new board's port, with everything that is still to be written."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from hilbench.board.sources import FIRMWARE
from hilbench.errors import UsageError

HELP = "start a firmware port for a new board from the template"
EXAMPLES = """\
  hilbench new-port nucleo-f446re --like stm32f4
  hilbench new-port my-riscv --like riscv-vexriscv
  then follow docs/your-board.md"""
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_MEMORY = re.compile(r"^(CPU_FLAGS|(FLASH|RAM|STACK)_(ORIGIN|BYTES)) *:=.*$", re.MULTILINE)
_OWN_IDLE = re.compile(r"^IDLE_SOURCE *:=", re.MULTILINE)
_INCLUDE = re.compile(r"^include (\S+)$", re.MULTILINE)
# Files of the template that only one flavour needs.
_ONLY = {"image.ld.in": "bare", "startup.c.in": "bare", "idle.c.in": "cortex-m-idle"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare name and example."""
    parser.add_argument("name", help="the port's folder: small letters, digits and '-'")
    parser.add_argument(
        "--like",
        metavar="PORT",
        default="mps2-an386",
        help="an existing port with the same kind of core: one of a Cortex-M shares startup, stack, "
        "idle and receive ring; posix is a host process; others start bare (default: mps2-an386)",
    )


def run(args: argparse.Namespace) -> int:
    """Write the folder and say what is next."""
    written = create_port(args.name, args.like, FIRMWARE)
    for path in written:
        print(path)
    todo = sum(path.read_text(encoding="utf-8").count("\n#error") for path in written)
    print(
        f"{todo} places are marked #error (grep -n '#error' {written[0].parent}/* lists them); "
        f"docs/your-board.md says what each must do. Then: make -C device_firmware PORT={args.name}"
    )
    return 0


def create_port(name: str, like: str, firmware: Path) -> list[Path]:
    """Write ``ports/<name>/``; returns its files.

    Args:
        name: of the port.
        like: an existing port; decides what is shared.
        firmware: ``device_firmware`` of a checkout.

    Raises:
        UsageError: no checkout, a name that cannot be or is taken, or no port ``like``.
    """
    template, ports = firmware / "ports" / "_template", firmware / "ports"
    if not template.is_dir():
        raise UsageError(
            f"{template} does not exist: a port is written in a checkout of hilbench, an installed "
            "package has no firmware sources; clone it and run this there"
        )
    if not _NAME.fullmatch(name) or name == "shared":
        raise UsageError(
            f"port name {name!r} may hold small letters, digits and '-' only; choose another"
        )
    known = sorted(p.parent.name for p in ports.glob("*/port.mk"))
    if like not in known:
        raise UsageError(f"--like {like!r} is no port; there are: {', '.join(known)}")
    folder = ports / name
    if folder.exists():
        raise UsageError(f"{folder} exists already; choose another name or remove it")
    flavour, memory = _kind(firmware, like)
    values = {"NAME": name, "LIKE": like, "MEMORY": memory}
    files = {
        source.name.removesuffix(".in"): fill(source.read_text(encoding="utf-8"), flavour, values)
        for source in sorted(template.glob("*.in"))
        if _ONLY.get(source.name, flavour) == flavour
    }
    folder.mkdir()
    for file, text in files.items():
        (folder / file).write_text(text, encoding="utf-8")
    return [folder / file for file in files]


def fill(text: str, flavour: str, values: dict[str, str]) -> str:
    """Keep what a flavour needs of a template, and put values for ``@KEY@``."""
    kept, wanted = [], True
    for line in text.splitlines():
        if line.startswith("@only "):
            wanted = flavour in line.split()[1:]
        elif line == "@end":
            wanted = True
        elif wanted:
            kept.append(line)
    filled = "\n".join(kept).rstrip() + "\n"
    for key, value in values.items():
        filled = filled.replace(f"@{key}@", value)
    return filled


def _kind(firmware: Path, like: str) -> tuple[str, str]:
    """Return the flavour of a port and the lines of its memory."""
    makefile = (firmware / "ports" / like / "port.mk").read_text(encoding="utf-8")
    included = [
        (firmware / name).read_text(encoding="utf-8") for name in _INCLUDE.findall(makefile)
    ]
    everything = "\n".join([makefile, *included])
    memory = "\n".join(match[0] for match in _MEMORY.finditer(everything))
    if "shared/cortex_m/cortex_m.mk" in everything:
        return ("cortex-m-idle" if _OWN_IDLE.search(everything) else "cortex-m"), memory
    return ("host" if "HOST_CC" in makefile else "bare"), memory
