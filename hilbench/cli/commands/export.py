"""``hilbench export``: a run's frame as one file for other programs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hilbench.cli.common import add_results_argument, run_folder
from hilbench.errors import EXIT_PASS, UsageError

HELP = "a run's rows as one CSV or Parquet file (columns: docs/frame.md)"
EXAMPLES = """\
  hilbench export RUN csv                          RUN-frame.csv
  hilbench export RUN csv --rows sessions -o -     one row per session, to stdout
  hilbench export RUN parquet --rows operators -o operators.parquet"""
ROWS = ("frame", "sessions", "operators", "comparisons")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare run, form, rows and output."""
    parser.add_argument("run", metavar="RUN", help="name in --results, or a path")
    parser.add_argument("form", choices=("csv", "parquet"))
    parser.add_argument("--rows", choices=ROWS, default="frame", help="default: frame, the cells")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="default: RUN-<rows>.<form>; - is stdout"
    )
    add_results_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Write the file."""
    from hilbench.runs import read_run  # noqa: PLC0415
    from hilbench.runs.journal import write_atomically  # noqa: PLC0415
    from hilbench.runs.store import TABLES, as_csv, as_parquet, parquet_works  # noqa: PLC0415

    if args.form == "parquet" and not parquet_works():
        raise UsageError(
            "Parquet needs pyarrow; install it with: pip install 'hilbench[parquet]', or export csv"
        )
    folder = run_folder(args)
    contents = read_run(folder)
    table = TABLES[args.rows]
    frame = table.produce(contents)
    if args.form == "csv":
        data = as_csv(frame)
    else:
        data = as_parquet(frame, table, contents.provenance.run_id)
    path = args.output or Path(f"{folder.name}-{args.rows}.{args.form}")
    if str(path) == "-":
        sys.stdout.buffer.write(data)
        return EXIT_PASS
    write_atomically(path, data)
    print(f"{path}: {len(frame)} rows, {len(frame.columns)} columns")
    return EXIT_PASS
