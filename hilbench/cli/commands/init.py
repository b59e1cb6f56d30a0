"""``hilbench init``: write a commented boards.toml and suite.toml."""

from __future__ import annotations

import argparse
from pathlib import Path

from hilbench.errors import UsageError

HELP = "write a commented boards.toml and suite.toml to start from"
EXAMPLES = """\
  hilbench init              into this folder
  hilbench init my-bench     into my-bench/"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the folder."""
    parser.add_argument("folder", nargs="?", type=Path, default=Path(), help="default: this one")


def run(args: argparse.Namespace) -> int:
    """Write both files; never overwrite one."""
    from hilbench.config import boards_template, suite_template  # noqa: PLC0415

    files = {"boards.toml": boards_template(), "suite.toml": suite_template()}
    for name in files:
        if (args.folder / name).exists():
            raise UsageError(f"{args.folder / name} exists; move it away or name another folder")
    try:
        args.folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (args.folder / name).write_text(text, encoding="utf-8")
            print(f"wrote {args.folder / name}")
    except OSError as error:
        raise UsageError(
            f"{args.folder}: cannot be written ({error.strerror}); name another folder"
        ) from error
    print("next: edit suite.toml, then `hilbench run suite.toml`")
    return 0
