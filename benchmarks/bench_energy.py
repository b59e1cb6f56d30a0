"""Energy measuring: how fast samples are decoded, and what reading an instrument live costs.

    python benchmarks/bench_energy.py [--quick]

Each part is a program of its own beside this one, with ``measure()``: its figures, its goals, "met".
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path

import energy_decode
import energy_live
from rich.console import Console
from rich.table import Table

from hilbench.errors import EXIT_PASS, EXIT_REGRESSION, HilbenchError

ROOT = Path(__file__).parents[1]
QUICK_S = 5.0
RESULT = ROOT / "results" / "bench" / "energy.json"


def best_and_median(figures: dict[str, object], key: str) -> str:
    return f"{figures[key]:.3g} samples/s, median {figures[f'{key}_median']:.3g}"


def decode_rows(figures: dict[str, object]) -> list[tuple[str, str, str]]:
    return [
        (
            "PPK2 decoded, 640 ms pieces, 100 range switches/s",
            best_and_median(figures, "samples_per_s"),
            f">= {figures['samples_per_s_goal']:.3g}",
        ),
        (
            "the same by ppk2-api",
            best_and_median(figures, "ppk2_api_samples_per_s"),
            "",
        ),
        ("ratio of medians", f"{figures['ratio']:.0f}", f">= {figures['ratio_goal']:.0f}"),
        (
            "largest difference from ppk2-api, its filter",
            f"{figures['difference']:.1e}",
            f"<= {figures['difference_goal']:.0e}",
        ),
    ]


def live_rows(figures: dict[str, object]) -> list[tuple[str, str, str]]:
    return [
        (
            f"PPK2 live, {figures['seconds']:.0f} s: lost, as the driver says",
            f"{figures['lost_by_driver']} of {figures['samples']}; {figures['lost_uncertain']} unsure",
            f"<= {figures['lost_goal']}",
        ),
        ("lost, as the instrument knows", f"{figures['lost_by_emulator']}", ""),
        ("CPU", f"{figures['cpu_share']:.1%} of a core", f"<= {figures['cpu_goal']:.0%}"),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_S:g} s of live capture")
    quick = parser.parse_args().quick
    console = Console()
    try:
        decoded = energy_decode.measure()
        live = energy_live.measure(QUICK_S) if quick else energy_live.measure()
    except HilbenchError as error:
        print(f"bench-energy: {error}", file=sys.stderr)
        return error.exit_code
    table = Table(title="Energy measuring")
    for column in ("", "measured", "goal"):
        table.add_column(column)
    for row in (*decode_rows(decoded), *live_rows(live)):
        table.add_row(*row)
    console.print(table)
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "benchmark": "energy",
        "host": platform.platform(),
        "python": platform.python_version(),
        "decode": decoded,
        "live": live,
    }
    RESULT.write_text(json.dumps(document, indent=2) + "\n")
    console.print(f"written to {RESULT.relative_to(ROOT)}")
    return EXIT_PASS if decoded["met"] and live["met"] else EXIT_REGRESSION


if __name__ == "__main__":
    sys.exit(main())
