"""A run as tables on the terminal: the compression story, each cell, each board, what failed."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hilbench.runs import load, operators_frame

_TOP_OPERATORS = 3
_SCALES = ((1e6, "M"), (1e3, "k"))


def print_run(folder: Path, console: Console, *, operators: bool = False) -> None:
    """Print every table of a run, then where its files are.

    Args:
        folder: the run folder.
        console: where to print.
        operators: every operator instead of the largest three.

    Raises:
        StoreError: not a run folder.
    """
    frame = load(folder)
    shares = operators_frame(folder)
    measured = frame[frame["latency_median"].notna() | frame["inferences"].notna()]
    if len(measured):
        console.print(story_table(frame))
        console.print(cells_table(measured, shares))
        console.print(boards_table(measured))
        if operators:
            console.print(operators_table(shares))
        _print_notes(measured, console)
    _print_errors(frame, console)
    console.print(f"results: {folder}", soft_wrap=True, highlight=False)


def story_table(frame: pd.DataFrame) -> Table:
    """Return one row per variant: sizes, accuracy, and the latency on every board."""
    boards = list(dict.fromkeys(frame["board"]))
    table = Table(title="compression: what each variant costs and gains", title_justify="left")
    table.add_column("variant")
    for name in (".tflite B", "zlib B", "plan B", "arena B"):
        table.add_column(name, justify="right")
    metric = next((m for m in frame["accuracy_metric"] if m), "accuracy")
    table.add_column(f"{metric} [95 % CI]")
    for board in boards:
        unit = next((u for u in frame.loc[frame["board"] == board, "unit"] if u), "")
        table.add_column(f"{board}\n{unit}", justify="right")
    for variant in dict.fromkeys(frame["variant"]):
        rows = frame[frame["variant"] == variant]
        first = _first_measured(rows)
        table.add_row(
            variant,
            *(_integer(first[c]) for c in ("tflite_bytes", "zlib_bytes", "plan_bytes")),
            _integer(first["arena_bytes"]),
            _accuracies(rows),
            *(_latency(rows[rows["board"] == board]) for board in boards),
        )
    return table


def cells_table(frame: pd.DataFrame, shares: pd.DataFrame) -> Table:
    """Return one row per board × variant with every figure that is not the variant's alone."""
    table = Table(title="each board × variant", title_justify="left")
    for name in ("board", "variant"):
        table.add_column(name)
    for name in ("median", "min", "max", "cold", "n", "uJ", "stack B", "= TFLM", "host LSB"):
        table.add_column(name, justify="right")
    table.add_column("largest operators")
    previous = ""
    for _, row in frame.iterrows():
        if previous and row["board"] != previous:
            table.add_section()
        previous = row["board"]
        table.add_row(
            row["board"],
            row["variant"],
            *(_number(row[f"latency_{c}"]) for c in ("median", "min", "max", "cold")),
            f"{_integer(row['inferences'])}/{row['sessions']}",
            _energy(row),
            _integer(row["stack_used_bytes"]),
            _agreement(row),
            _host_difference(row),
            _largest(shares, row),
        )
    return table


def boards_table(frame: pd.DataFrame) -> Table:
    """Return one row per board: who it is, its image in flash and RAM, what its ticks mean."""
    table = Table(title="boards", title_justify="left")
    for name in ("board", "port", "emulated by", "time base", "runtime", "build id"):
        table.add_column(name)
    for name in ("text B", "rodata B", "data B", "RAM B", "model pool B", "line bad/again"):
        table.add_column(name, justify="right")
    for _, row in frame.drop_duplicates("board").iterrows():
        rows = frame[frame["board"] == row["board"]]
        bad = rows["link_bad_packets_host"].sum() + rows["link_bad_packets_board"].sum()
        table.add_row(
            row["board"],
            row["port"],
            row["emulator"] or "hardware",
            f"{row['time_base']} ({row['clock_source']})",
            f"{row['runtime']}, {row['kernels']}",
            row["image_build_id"][:12],
            *(_integer(row[f"flash_{c}_bytes"]) for c in ("text", "rodata", "data")),
            _integer(row["ram_bytes"]),
            _integer(row["pool_bytes"]),
            f"{bad:.0f}/{rows['link_retransmitted_packets'].sum():.0f}",
        )
    return table


def operators_table(shares: pd.DataFrame) -> Table:
    """Return one row per board × variant × operator."""
    table = Table(title="operators", title_justify="left")
    for name in ("board", "variant", "operator", "kernel", "output"):
        table.add_column(name)
    for name in ("MACs", "latency", "share"):
        table.add_column(name, justify="right")
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
    n = sorted({int(v) for v in frame["vectors_n"].dropna()})
    notes.append(
        f"accuracy: {', '.join(map(str, n))} vectors; n: timed inferences/sessions; "
        "= TFLM: vectors whose int8 output equals TensorFlow Lite Micro's bit by bit; "
        f"host LSB: largest difference to {_first_text(frame['reference'])}."
    )
    for note in notes:
        console.print(Text(note, style="dim"))


def _print_errors(frame: pd.DataFrame, console: Console) -> None:
    for _, row in frame[frame["error"] != ""].drop_duplicates(["board", "error"]).iterrows():
        line = Text(f"{row['board']} {row['variant']}: {row['error']}", style="red")
        console.print(line, soft_wrap=True)


def _first_measured(rows: pd.DataFrame) -> pd.Series:
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
            return f"{_digits(value / scale)} {letter}"
    return _digits(value)


def _digits(value: float) -> str:
    decimals = max(0, 3 - int(math.floor(math.log10(abs(value))))) if value else 0
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
    return "-" if math.isnan(relative) else f"{relative:.0e}×"


def _largest(shares: pd.DataFrame, row: pd.Series) -> str:
    own = shares[(shares["board"] == row["board"]) & (shares["variant"] == row["variant"])]
    top = own.sort_values("share_percent", ascending=False).head(_TOP_OPERATORS)
    return ", ".join(f"{r['name']} {r['share_percent']:.0f} %" for _, r in top.iterrows())
