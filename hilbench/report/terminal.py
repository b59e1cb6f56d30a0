"""A run as tables on the terminal: the compression story, each cell, each board, what failed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.text import Text

from hilbench.report.quantities import kernel_kind
from hilbench.report.tables import TextColumn, print_table
from hilbench.runs import comparisons_frame, load, operators_frame, read_run
from hilbench.runs.rows import NOT_MEASURED

_TOP_KERNELS = 3
_SCALES = ((1e6, "M"), (1e3, "k"))
WIDE = 120  # columns that the widest table asks for


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
        console.width = WIDE
    contents = read_run(folder)
    frame = load(contents)
    shares = operators_frame(contents)
    measured = frame[frame["inferences"].notna()]
    if len(measured):
        print_story(frame, console)
        print_cells(measured, console)
        print_shares(shares, console)
        print_boards(measured, console)
        if operators:
            print_operators(shares, console)
        _print_notes(measured, console)
        for _, pair in comparisons_frame(contents).iterrows():
            text = f"{pair['board']}, {pair['sessions']} sessions of each in turn: {pair['says']}."
            console.print(text, highlight=False)
    _print_errors(frame, console)
    console.print(f"results: {folder}", soft_wrap=True, highlight=False)


def print_story(frame: pd.DataFrame, console: Console) -> None:
    """One row per variant: sizes, accuracy, and the latency on every board."""
    variants = list(dict.fromkeys(frame["variant"]))
    rows = {v: frame[frame["variant"] == v] for v in variants}
    first = [_first_planned(rows[v]) for v in variants]
    metrics = {m for m in frame["accuracy_metric"] if m}
    mixed = len(metrics) > 1
    columns = [
        TextColumn(title, [_integer(row[name]) for row in first], right=True)
        for title, name in (
            (".tflite B", "tflite_bytes"),
            ("zlib B", "zlib_bytes"),
            ("plan B", "plan_bytes"),
            ("arena B", "arena_bytes"),
        )
    ]
    what = "accuracy" if mixed or not metrics else metrics.pop()
    columns.append(
        TextColumn(f"{what} [95 % CI]", [_accuracies(rows[v], named=mixed) for v in variants])
    )
    for board in dict.fromkeys(frame["board"]):
        unit = next((u for u in frame.loc[frame["board"] == board, "unit"] if u), "")
        cells = [_latency(rows[v][rows[v]["board"] == board]) for v in variants]
        columns.append(TextColumn(f"{board}\n{unit}", cells, right=True))
    title = "each variant: what it weighs, what it gets right, what an inference takes"
    print_table(console, title, [TextColumn("variant", variants)], columns)


def print_cells(frame: pd.DataFrame, console: Console) -> None:
    """One row per board × variant with every figure that is not the variant's alone."""
    rows = [row for _, row in frame.iterrows()]
    boards = [row["board"] for row in rows]
    new = [i for i in range(1, len(boards)) if boards[i] != boards[i - 1]]
    keys = [
        TextColumn("board", [b if i == 0 or i in new else "" for i, b in enumerate(boards)]),
        TextColumn("variant", [row["variant"] for row in rows]),
    ]
    columns = [
        TextColumn(name, [_number(row[f"latency_{name}"]) for row in rows], right=True)
        for name in ("median", "min", "max", "cold")
    ]
    columns += [
        TextColumn("unit", [row["unit"] for row in rows], right=True),
        TextColumn("uJ", [_energy(row, "energy") for row in rows], right=True),
        TextColumn("stack B", [_integer(row["stack_used_bytes"]) for row in rows], right=True),
        TextColumn("= TFLM", [_agreement(row) for row in rows], right=True),
        TextColumn("host LSB", [_host_difference(row) for row in rows], right=True),
    ]
    if frame["energy_net_uj"].notna().any():
        net = TextColumn("net uJ", [_energy(row, "energy_net") for row in rows], right=True)
        columns.insert(6, net)
    print_table(console, "each board × variant", keys, columns, sections=new)


def _energy(row: pd.Series[Any], name: str) -> str:
    """Energy of one inference, ± the half-width of its 95 % interval where a meter measured it."""
    value, around = row[f"{name}_uj"], row[f"{name}_absolute_uj"]
    if math.isnan(value) or math.isnan(around):
        return _number(value)
    return f"{_number(value)} ± {_number(around)}"


def _energy_notes(frame: pd.DataFrame) -> list[str]:
    """Where the energy comes from, said before anybody quotes it."""
    notes = []
    synthetic = frame[frame["energy_source"] == "synthetic"]
    if (synthetic["energy_meter"] == "").any():
        notes.append(
            "uJ: SYNTHETIC, a constant current of boards.toml times the board's own clock; "
            "nothing was measured."
        )
    metered = frame[frame["energy_meter"] != ""]
    for meter, rows in metered.groupby("energy_meter", sort=False):
        boards = ", ".join(dict.fromkeys(rows["board"]))
        what = f"uJ of {boards}: by {meter}; gross of one inference ± 95 % interval, net less idle"
        if "synthetic" in set(rows["energy_source"]):
            what = f"SYNTHETIC {what}; the current is what boards.toml says, not a chip's"
        notes.append(f"{what}.")
    for why, rows in metered[metered["energy_net_reason"] != ""].groupby("energy_net_reason"):
        cells = ", ".join(f"{row['board']} {row['variant']}" for _, row in rows.iterrows())
        notes.append(f"no net energy of {cells}: {why}")
    for why, rows in metered[metered["energy_warnings"] != ""].groupby("energy_warnings"):
        notes.append(f"energy of {', '.join(dict.fromkeys(rows['board']))}: {why}")
    return notes


def print_shares(shares: pd.DataFrame, console: Console) -> None:
    """For each variant and board, the kernels that take most of an inference."""
    cells: dict[tuple[str, str], list[tuple[float, str]]] = {}
    kinds = shares["kernel"].map(kernel_kind).rename("kind")
    for (variant, board, kind), rows in shares.groupby(["variant", "board", kinds]):
        share = float(rows["share_percent"].sum())
        cells.setdefault((str(variant), str(board)), []).append((share, str(kind)))
    variants = list(dict.fromkeys(shares["variant"]))
    columns = []
    for board in dict.fromkeys(shares["board"]):
        tops = [sorted(cells.get((v, board), ()), reverse=True)[:_TOP_KERNELS] for v in variants]
        texts = ["\n".join(f"{share:2.0f} % {name}" for share, name in top) for top in tops]
        columns.append(TextColumn(board, texts))
    print_table(console, "largest kernels", [TextColumn("variant", variants)], columns)


def print_boards(frame: pd.DataFrame, console: Console) -> None:
    """One row per board: who it is, and its image in flash and RAM."""
    rows = [row for _, row in frame.drop_duplicates("board").iterrows()]
    again = []
    for row in rows:
        own = frame[frame["board"] == row["board"]]
        sent = own["link_retransmitted_packets"].sum() + own["link_runs_repeated"].sum()
        again.append(f"{sent:.0f}")
    columns = [
        TextColumn("port", [row["port"] for row in rows]),
        TextColumn("emulated by", [row["emulator"] or "hardware" for row in rows]),
        TextColumn("build id", [row["image_build_id"][:8] for row in rows]),
    ]
    columns += [
        TextColumn(title, [_integer(row[name]) for row in rows], right=True)
        for title, name in (
            ("text B", "flash_text_bytes"),
            ("rodata B", "flash_rodata_bytes"),
            ("data B", "flash_data_bytes"),
            ("RAM B", "ram_bytes"),
            ("model pool B", "pool_bytes"),
        )
    ]
    columns.append(TextColumn("again", again, right=True))
    keys = [TextColumn("board", [row["board"] for row in rows])]
    print_table(console, "boards and the image in their flash", keys, columns)


def print_operators(shares: pd.DataFrame, console: Console) -> None:
    """One row per board × variant × operator."""
    rows = [row for _, row in shares.iterrows()]
    keys = [
        TextColumn("board", [row["board"] for row in rows]),
        TextColumn("variant", [row["variant"] for row in rows]),
        TextColumn("operator", [f"{row['operator']} {row['name']}" for row in rows]),
    ]
    columns = [
        TextColumn("kernel", [row["kernel"] for row in rows]),
        TextColumn("output", [row["output_shape"] for row in rows]),
        TextColumn("MACs", [f"{row['macs']:,}" for row in rows], right=True),
        TextColumn("latency", [_number(row["latency"]) for row in rows], right=True),
        TextColumn("unit", [row["unit"] for row in rows]),
        TextColumn("share %", [f"{row['share_percent']:.1f}" for row in rows], right=True),
    ]
    if shares["energy_uj"].notna().any():
        energies = [_number(row["energy_uj"]) for row in rows]
        columns.append(TextColumn("uJ", energies, right=True))
    print_table(console, "operators", keys, columns)


def _print_notes(frame: pd.DataFrame, console: Console) -> None:
    """Say what the numbers are not."""
    notes = []
    if "instructions" in set(frame["time_base"]):
        notes.append(
            "instr: instructions counted by QEMU, not a time and not cycles of a chip; "
            "identical in every run."
        )
    if "cycles" in set(frame["time_base"]):
        notes.append("cycles: exact, of the simulated chip; the memory around an RTL core is ours.")
    if "unknown" in set(frame["time_base"]):
        notes.append("ticks: of a program behind a PTY; what they are in time, nobody knows.")
    if "host" in set(frame["time_base"]):
        notes.append("native: this computer's time, as noisy as it is.")
    notes += _energy_notes(frame)
    notes.append(
        f"each cell: {_range(frame['sessions'])} sessions (reset to reset), "
        f"{_range(frame['iterations'])} timed inferences each after {_range(frame['warm_up'])} "
        f"warm-up and 1 cold; {_range(frame['vectors_n'])} vectors."
    )
    refused = (
        frame["agreement_reference"].isna() & (frame["reference"] != "") & (frame["error"] == "")
    )
    judged = frame[~refused]
    notes.append(
        "= TFLM: vectors whose int8 output is TensorFlow Lite Micro's, bit by bit. host LSB: largest "
        f"difference to {_first_text(judged['reference'])}; × max|y| for float32."
    )
    notes.append(
        "stack B: high-water mark by painting, a lower bound. RAM B: without the pool that models get. "
        "again: packets or runs sent again."
    )
    unchecked = frame[frame["agreement_tflm"].isna() & (frame["tflm"] != "")]
    for reason, rows in unchecked.groupby("tflm"):
        names = ", ".join(dict.fromkeys(rows["variant"]))
        notes.append(f"NOT compared with TensorFlow Lite Micro: {names}; {reason}")
    for reason, rows in frame[refused].groupby("reference"):
        names = ", ".join(dict.fromkeys(rows["variant"]))
        notes.append(f"NOT compared with the host interpreter: {names}; {reason}")
    for variant, how in dict(zip(frame["variant"], frame["quantise"], strict=True)).items():
        if "clipped" in how:
            notes.append(f"vectors of {variant}: {how}")
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


def _range(values: pd.Series) -> str:
    """One number where all rows agree, else the smallest and the largest."""
    low, high = values.min(), values.max()
    return f"{low:.0f}" if low == high else f"{low:.0f} to {high:.0f}"


def _accuracies(rows: pd.DataFrame, *, named: bool) -> str:
    """One figure where all boards agree, else each board's."""
    seen: dict[str, list[str]] = {}
    for _, row in rows[rows["accuracy"].notna()].iterrows():
        lead = f"{row['accuracy_metric']} " if named else ""
        text = f"{lead}{row['accuracy']:.3f}"
        if not math.isnan(row["accuracy_low"]):
            text += f" [{row['accuracy_low']:.3f}, {row['accuracy_high']:.3f}]"
        seen.setdefault(text, []).append(row["board"])
    if len(seen) <= 1:
        return next(iter(seen), "-")
    return "\n".join(f"{text} {', '.join(boards)}" for text, boards in seen.items())


def _latency(rows: pd.DataFrame) -> str:
    if not len(rows):
        return "-"
    row = rows.iloc[0]
    if math.isnan(row["latency_median"]):
        if row["error"].startswith(NOT_MEASURED):
            return "not run"
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


def _agreement(row: pd.Series) -> str:
    value = row["agreement_tflm"]
    return "-" if math.isnan(value) else f"{100 * value:.4g} %"


def _host_difference(row: pd.Series) -> str:
    if not math.isnan(row["lsb_max_reference"]):
        return f"{row['lsb_max_reference']:.0f}"
    relative = row["relative_max_reference"]
    return "-" if math.isnan(relative) else f"{relative:.0e} ×"
