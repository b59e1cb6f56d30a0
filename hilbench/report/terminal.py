"""A run as tables on the terminal: the compression story, each cell, each board, what failed."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hilbench.runs import load, operators_frame

_TOP_KERNELS = 3
WIDE = 120  # columns that the widest table asks for
_SCALES = ((1e6, "M"), (1e3, "k"))


def print_run(folder: Path, console: Console, *, operators: bool = False) -> None:
    """Print every table of a run, then where its files are.

    Args:
        folder: the run folder.
        console: where to print; a file or a pipe gets as many columns as the tables need.
        operators: also every operator of every cell.

    Raises:
        StoreError: not a run folder.
    """
    if not console.is_terminal:
        console = Console(file=console.file, width=WIDE)
    frame = load(folder)
    shares = operators_frame(folder)
    measured = frame[frame["inferences"].notna()]
    if len(measured):
        console.print(story_table(frame))
        console.print(cells_table(measured))
        console.print(shares_table(shares))
        console.print(boards_table(measured))
        if operators:
            console.print(operators_table(shares))
        _print_notes(measured, console)
    _print_errors(frame, console)
    console.print(f"results: {folder}", soft_wrap=True, highlight=False)


def _table(title: str, left: tuple[str, ...], right: tuple[str, ...]) -> Table:
    """Return an empty table; numbers stand right."""
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for name in left:
        table.add_column(name, no_wrap=True)
    for name in right:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def story_table(frame: pd.DataFrame) -> Table:
    """Return one row per variant: sizes, accuracy, and the latency on every board."""
    boards = list(dict.fromkeys(frame["board"]))
    table = _table(
        "each variant: what it weighs, what it gets right, what an inference takes",
        ("variant",),
        (".tflite B", "zlib B", "plan B", "arena B"),
    )
    metric = next((m for m in frame["accuracy_metric"] if m), "accuracy")
    table.add_column(f"{metric} [95 % CI]", no_wrap=True)
    for board in boards:
        unit = next((u for u in frame.loc[frame["board"] == board, "unit"] if u), "")
        table.add_column(f"{board}\n{unit}", justify="right", no_wrap=True)
    for variant in dict.fromkeys(frame["variant"]):
        rows = frame[frame["variant"] == variant]
        first = _first_planned(rows)
        table.add_row(
            variant,
            *(
                _integer(first[c])
                for c in ("tflite_bytes", "zlib_bytes", "plan_bytes", "arena_bytes")
            ),
            _accuracies(rows),
            *(_latency(rows[rows["board"] == board]) for board in boards),
        )
    return table


def cells_table(frame: pd.DataFrame) -> Table:
    """Return one row per board × variant with every figure that is not the variant's alone."""
    table = _table(
        "each board × variant",
        ("board", "variant"),
        ("median", "min", "max", "cold", "unit", "uJ", "stack B", "= TFLM", "host LSB"),
    )
    previous = ""
    for _, row in frame.iterrows():
        if previous and row["board"] != previous:
            table.add_section()
        table.add_row(
            "" if row["board"] == previous else row["board"],
            row["variant"],
            *(_number(row[f"latency_{c}"]) for c in ("median", "min", "max", "cold")),
            row["unit"],
            _energy(row),
            _integer(row["stack_used_bytes"]),
            _agreement(row),
            _host_difference(row),
        )
        previous = row["board"]
    return table


def shares_table(shares: pd.DataFrame) -> Table:
    """Return, for each variant and board, the kernels that take most of an inference."""
    boards = list(dict.fromkeys(shares["board"]))
    table = _table("largest kernels", ("variant", *boards), ())
    cells: dict[tuple[str, str], list[tuple[float, str]]] = {}
    for (variant, board, kernel), rows in shares.groupby(["variant", "board", "kernel"]):
        share = float(rows["share_percent"].sum())
        name = str(kernel).rpartition("_")[0]
        cells.setdefault((str(variant), str(board)), []).append((share, name))
    for variant in dict.fromkeys(shares["variant"]):
        largest = (sorted(cells.get((variant, b), ()), reverse=True)[:_TOP_KERNELS] for b in boards)
        table.add_row(
            variant,
            *("\n".join(f"{share:2.0f} % {kernel}" for share, kernel in top) for top in largest),
        )
    return table


def boards_table(frame: pd.DataFrame) -> Table:
    """Return one row per board: who it is, its image in flash and RAM, what its ticks mean."""
    table = _table(
        "boards and the image in their flash",
        ("board", "port", "emulated by", "build id"),
        ("text B", "rodata B", "data B", "RAM B", "model pool B", "again"),
    )
    for _, row in frame.drop_duplicates("board").iterrows():
        rows = frame[frame["board"] == row["board"]]
        again = rows["link_retransmitted_packets"].sum() + rows["link_runs_repeated"].sum()
        table.add_row(
            row["board"],
            row["port"],
            row["emulator"] or "hardware",
            row["image_build_id"][:8],
            *(_integer(row[f"flash_{c}_bytes"]) for c in ("text", "rodata", "data")),
            _integer(row["ram_bytes"]),
            _integer(row["pool_bytes"]),
            f"{again:.0f}",
        )
    return table


def operators_table(shares: pd.DataFrame) -> Table:
    """Return one row per board × variant × operator."""
    table = _table(
        "operators",
        ("board", "variant", "operator", "kernel", "output"),
        ("MACs", "latency", "share"),
    )
    for _, row in shares.iterrows():
        table.add_row(
            row["board"],
            row["variant"],
            f"{row['operator']} {row['name']}",
            row["kernel"],
            row["output_shape"],
            f"{row['macs']:,}",
            f"{_number(row['latency'])} {row['unit']}",
            f"{row['share_percent']:.1f} %",
        )
    return table


def _print_notes(frame: pd.DataFrame, console: Console) -> None:
    """Say what the numbers are not."""
    notes = []
    if "instructions" in set(frame["time_base"]):
        notes.append(
            "instr: instructions counted by QEMU, not a time and not cycles of a chip; "
            "identical in every run."
        )
    if "host" in set(frame["time_base"]):
        notes.append("native: this computer's time, as noisy as it is.")
    if "synthetic" in set(frame["energy_source"]):
        notes.append(
            "uJ: SYNTHETIC, a constant current of boards.toml times the board's own clock; "
            "nothing was measured."
        )
    vectors = ", ".join(f"{v:.0f}" for v in sorted(set(frame["vectors_n"].dropna())))
    first = frame.iloc[0]
    notes.append(
        f"each cell: {first['sessions']} sessions (reset to reset), {first['iterations']} timed "
        f"inferences each after {first['warm_up']} warm-up and 1 cold; {vectors} vectors."
    )
    notes.append(
        "= TFLM: vectors whose int8 output is TensorFlow Lite Micro's, bit by bit. host LSB: largest "
        f"difference to {_first_text(frame['reference'])}; × max|y| for float32."
    )
    notes.append(
        "stack B: high-water mark by painting, a lower bound. RAM B: without the pool that models get. "
        "again: packets or runs sent again."
    )
    for note in notes:
        console.print(Text(note, style="dim"))


def _print_errors(frame: pd.DataFrame, console: Console) -> None:
    for _, row in frame[frame["error"] != ""].drop_duplicates(["board", "error"]).iterrows():
        line = Text(f"{row['board']} {row['variant']}: {row['error']}", style="red")
        console.print(line, soft_wrap=True)


def _first_planned(rows: pd.DataFrame) -> pd.Series:
    known = rows[rows["plan_bytes"].notna()]
    return (known if len(known) else rows).iloc[0]


def _first_text(column: pd.Series) -> str:
    return next((v for v in column if v), "the host interpreter")


def _accuracies(rows: pd.DataFrame) -> str:
    """One figure where all boards agree, else each board's."""
    seen: dict[str, list[str]] = {}
    for _, row in rows[rows["accuracy"].notna()].iterrows():
        text = f"{row['accuracy']:.3f} [{row['accuracy_low']:.3f}, {row['accuracy_high']:.3f}]"
        seen.setdefault(text, []).append(row["board"])
    if len(seen) <= 1:
        return next(iter(seen), "-")
    return "\n".join(f"{text} {', '.join(boards)}" for text, boards in seen.items())


def _latency(rows: pd.DataFrame) -> str:
    if not len(rows):
        return "-"
    row = rows.iloc[0]
    if math.isnan(row["latency_median"]):
        return "failed" if row["error"] else "-"
    return _number(row["latency_median"])


def _number(value: float) -> str:
    """Four significant digits, with k or M."""
    if math.isnan(value):
        return "-"
    for scale, letter in _SCALES:
        if abs(value) >= scale:
            return f"{_digits(value / scale)}{letter}"
    return _digits(value)


def _digits(value: float) -> str:
    decimals = max(0, 3 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:.{decimals}f}"


def _integer(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:,.0f}"


def _energy(row: pd.Series) -> str:
    return "-" if math.isnan(row["energy_uj"]) else _number(row["energy_uj"])


def _agreement(row: pd.Series) -> str:
    value = row["agreement_tflm"]
    return "-" if math.isnan(value) else f"{100 * value:.4g} %"


def _host_difference(row: pd.Series) -> str:
    if not math.isnan(row["lsb_max_reference"]):
        return f"{row['lsb_max_reference']:.0f}"
    relative = row["relative_max_reference"]
    return "-" if math.isnan(relative) else f"{relative:.0e} ×"
