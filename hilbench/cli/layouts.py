"""``hilbench aa --layout``: link, flash, time, and say what to write into gate.toml."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from hilbench.bench.layouts import measure_layouts
from hilbench.bench.prepare import PreparedVariant, prepare_variant
from hilbench.cli.common import boards_file, choose_boards
from hilbench.config import load_boards, load_suite
from hilbench.config.defaults import ZOO_SUITE
from hilbench.errors import EXIT_INCONCLUSIVE, EXIT_PASS, UsageError
from hilbench.gate.layout import LEAST_BUILDS, check_time_base, layout_floor
from hilbench.metrics import show
from hilbench.models.vectors import load_vectors
from hilbench.records import SuiteConfig

_SESSIONS = 2


def layout_floors(args: argparse.Namespace) -> int:
    """Measure and print; returns the exit code: 4 where layout is not told from noise anywhere.

    Raises:
        UsageError: no board named, too few builds or sessions, or a board that counts instructions.
        HilbenchError: not linked, not flashed or not measured.
    """
    sessions = _SESSIONS if args.sessions is None else args.sessions
    if args.board is None:
        raise UsageError("--layout flashes a board many times: say which with --board ID")
    if args.builds < LEAST_BUILDS:
        raise UsageError(
            f"--builds is {args.builds}, limit {LEAST_BUILDS}: fewer say nothing of a scatter; take 8 "
            f"or more"
        )
    if sessions < 1:
        raise UsageError(f"--sessions is {sessions}, must be at least 1")
    file = boards_file(args)
    (board,) = choose_boards(load_boards(file), [args.board], file)
    suite = load_suite(args.suite or ZOO_SUITE)
    found = measure_layouts(
        board,
        _variants(suite, args.variant),
        builds=args.builds,
        sessions=sessions,
        seed=args.seed,
        plan=(suite.warm_up, suite.iterations),
        check=lambda time_base: check_time_base(board.id, time_base),
        tell=lambda text: print(text, file=sys.stderr, flush=True),
    )
    print(
        f"board {board.id}, {board.firmware} by {found.compiler}: {args.builds} links of the same "
        f"objects in random orders, {sessions} sessions each"
    )
    floors = {name: layout_floor(medians) for name, medians in found.medians.items()}
    for name, floor in floors.items():
        within = "unknown" if floor.session_sd is None else f"{100 * floor.session_sd:.3f} %"
        first = show("latency_median", found.medians[name][0][0])
        print(
            f"  {board.id}[{name}]::latency_median  {first} {found.unit}  sd of links "
            f"{100 * floor.sd:.3f} % ({100 * floor.lowest:+.3f} to {100 * floor.highest:+.3f} %)  "
            f"sd of sessions {within}  a FAIL between images from {100 * floor.sees:+.2f} %"
        )
    if found.emulator is not None:
        print(f"true of {found.emulator}; a chip has caches and flash of its own")
    for name, floor in floors.items():
        if floor.is_noise:
            print(
                f"{board.id}[{name}]: links scatter no more than their sessions do, so that layout is "
                f"not told from noise; take more --sessions"
            )
    known = {name: floor for name, floor in floors.items() if not floor.is_noise}
    if not known:
        return EXIT_INCONCLUSIVE
    print("\nfor gate.toml:")
    for name, floor in known.items():
        print(
            f'\n[[layout]]\nboard = "{board.id}"\nvariant = "{name}"\n'
            f"percent = {100 * floor.sd:.3g}\nbuilds = {floor.builds}"
        )
    return EXIT_PASS


def _variants(suite: SuiteConfig, names: Sequence[str]) -> list[PreparedVariant]:
    """One vector each: latency does not depend on it, and every link is paid for."""
    known = [v.name for v in suite.variants]
    if unknown := [name for name in names if name not in known]:
        raise UsageError(
            f"suite {suite.source} has no variant {unknown[0]!r}; it has: {', '.join(known)}"
        )
    tables = {table.name: table for table in suite.vectors}
    return [
        prepare_variant(v, load_vectors(tables[v.vectors]), tables[v.vectors], 1)
        for v in suite.variants
        if not names or v.name in names
    ]
