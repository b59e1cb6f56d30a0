"""Latency of the same firmware, linked in other orders: what a layout floor is estimated from."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hilbench import plugins
from hilbench.bench.energy import EnergyRequest
from hilbench.bench.prepare import PreparedVariant
from hilbench.bench.session import SessionPlan, measure_session
from hilbench.board.image_facts import image_facts
from hilbench.board.life import OpenBoard, open_board
from hilbench.board.relinks import relinks
from hilbench.board.resident import needs_resident, patch_image
from hilbench.interfaces import EmulatedBoard
from hilbench.records import BoardConfig, Image
from hilbench.runs.rows import session_values


@dataclass(frozen=True)
class Layouts:
    """Session medians of every link."""

    unit: str
    emulator: str | None
    compiler: str
    medians: Mapping[str, list[list[float]]]  # variant to [builds][sessions]


def measure_layouts(
    config: BoardConfig,
    variants: Sequence[PreparedVariant],
    *,
    builds: int,
    sessions: int,
    seed: int,
    plan: tuple[int, int],
    check: Callable[[str], None],
    tell: Callable[[str], None],
) -> Layouts:
    """Flash each link onto the board and time every variant.

    Args:
        config: of the board, which is flashed ``builds`` times and keeps the last link.
        variants: what to time, a few vectors each.
        builds: links.
        sessions: of each variant on each link.
        seed: of the orders.
        plan: warm-up and timed inferences of a session.
        check: told the time base as soon as the board says it; raises where that will not do.
        tell: told each step.

    Raises:
        HilbenchError: not built, not flashed, not measured.
    """

    def started(_: EmulatedBoard) -> None:
        """One board at a time, in this thread: open_board() itself stops it after Ctrl-C."""

    medians: dict[str, list[list[float]]] = {v.config.name: [] for v in variants}
    about: tuple[str, str | None, str] = ("", None, "")
    with tempfile.TemporaryDirectory(prefix="hilbench-layout-") as name:
        folder = Path(name)
        for number, image in enumerate(relinks(config.firmware, builds, seed, folder), start=1):
            tell(f"board {config.id}: link {number} of {builds}, build {image.build_id[:8]}")
            for flashed, chosen in _flashes(image, variants, folder / "patched"):
                with open_board(config, flashed, lambda _: None, started) as board:
                    check(board.clock.time_base)
                    about = (board.clock.unit, board.emulated_by, image.compiler)
                    for variant in chosen:
                        found = [_median(board, variant, k, plan) for k in range(1, sessions + 1)]
                        medians[variant.config.name].append(found)
    return Layouts(*about, medians)


def _flashes(
    image: Image, variants: Sequence[PreparedVariant], folder: Path
) -> Iterator[tuple[Image, Sequence[PreparedVariant]]]:
    """One image for all variants, or one each where plans are part of it."""
    if needs_resident(image) is None:
        yield image, variants
        return
    folder.mkdir(exist_ok=True)
    facts = image_facts(image)
    for variant in (v.for_board(facts.runtime, facts.kernels) for v in variants):
        yield patch_image(image, variant.plan, folder), [variant]


def _median(
    board: OpenBoard, variant: PreparedVariant, number: int, plan: tuple[int, int]
) -> float:
    variant = variant.for_board(board.hello.runtime, board.hello.kernels)
    warm_up, iterations = plan
    driver = plugins.load("power", board.config.meter.driver)
    estimate = driver.estimate(board.config) if board.metering is None else None
    session = SessionPlan(number, warm_up, iterations, EnergyRequest())
    data = measure_session(board, variant, session, estimate, lambda _: None)
    return float(session_values(data.record)["latency_median"])
