"""The command line: one subcommand a file in ``commands/``, found by name.

A subcommand module has ``HELP`` (one line), ``EXAMPLES``, ``add_arguments(parser)`` and
``run(args) -> exit code``. Heavy imports go inside ``run``, so that ``--help`` is instant.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from types import FrameType

from hilbench import __version__, plugins
from hilbench.errors import EXIT_INTERRUPTED, HilbenchError

_EXIT_CODES = """\
exit codes: 0 pass · 1 regression or wrong outputs · 2 usage, configuration or model · 3 could not
measure (tool, board, link, meter) · 4 inconclusive, missing or stale · 130 interrupted"""


def parser() -> argparse.ArgumentParser:
    """Return the parser with every subcommand."""
    top = argparse.ArgumentParser(
        prog="hilbench",
        description="Benchmark compressed TinyML models on microcontroller boards.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"hilbench {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in plugins.names("commands"):
        module = plugins.load("commands", name)
        sub = commands.add_parser(
            name.replace("_", "-"),
            help=module.HELP,
            description=module.HELP,
            epilog=f"examples:\n{module.EXAMPLES}\n\n{_EXIT_CODES}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(sub)
        sub.set_defaults(handler=module.run)
    return top


def main(argv: list[str] | None = None) -> int:
    """Run a command; errors become one line on stderr and their exit code."""
    try:
        for ending in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(ending, _interrupt)
        args = parser().parse_args(argv)
        code: int = args.handler(args)
    except HilbenchError as error:
        print(f"hilbench: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("hilbench: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader has gone. Python would complain again when it flushes stdout at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
