"""One session on one board: reset, hello, load, cold and timed inferences, all vectors, figures."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hilbench.bench.energy import EnergyData, EnergyRequest, measure_energy
from hilbench.bench.prepare import PreparedVariant
from hilbench.board.life import OpenBoard
from hilbench.board.resident import is_resident
from hilbench.errors import BoardError, MeasurementError, ModelTooLargeError
from hilbench.interfaces import EnergyEstimate
from hilbench.measurement.accuracy import correct, evaluate, per_vector
from hilbench.measurement.agreement import Agreement, agreement
from hilbench.measurement.energy import session_energy_uj
from hilbench.measurement.latency import TicksSummary, summarise
from hilbench.protocol.messages import HelloReply, Loaded, RunFlag
from hilbench.records import ClockInfo
from hilbench.runs.schema import SessionRecord

_ALIGN = 16
_PROFILED_INFERENCES = 4


@dataclass(frozen=True)
class SessionPlan:
    """How a session times."""

    number: int  # from 1
    warm_up: int
    iterations: int
    energy: EnergyRequest


@dataclass(frozen=True)
class SessionData:
    """A session's record and the arrays that are kept beside it."""

    record: SessionRecord
    outputs: NDArray[np.generic]  # [n, *output shape]
    ticks: NDArray[np.uint32]  # [iterations], of the timed inferences
    vector_ticks: NDArray[np.uint32]  # [n], one inference of each vector
    energy: EnergyData | None  # of a meter with samples: its evidence is kept, too
    correct: NDArray[np.bool_] | None = None  # [n], of metric top1: what a gate pairs
    labels: NDArray[np.int32] | None = None  # [n], of metric top1: what a report counts by
    per_vector: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)  # of auc and mse


def measure_session(
    board: OpenBoard,
    variant: PreparedVariant,
    plan: SessionPlan,
    meter: EnergyEstimate | None,
    on_vectors: Callable[[int], None],
) -> SessionData:
    """Run one session.

    Raises:
        ModelTooLargeError: before anything is sent.
        BoardError, LinkError, MeterError, MeasurementError.
    """
    started_s = time.monotonic()
    board.check_meter()
    hello = board.start_session()
    recoveries = tuple(board.recoveries)
    board.recoveries.clear()
    check_fits(board.config.id, variant, hello, resident=is_resident(board.image))
    client = board.client
    probe = board.emulated if board.emulated is not None and board.emulated.has_probe else None
    kept = bool(hello.model_loaded) and hello.model_sha256.hex() == variant.plan.sha256
    loaded = client.load(
        variant.plan.data,
        bytes.fromhex(variant.plan.sha256),
        probe,
        resident=is_resident(board.image),
    )
    _check_loaded(board.config.id, variant, loaded)
    on_vectors(0)

    inputs = variant.input_bytes
    timed_from_s = time.monotonic()
    timed = client.run(
        inputs[:1],
        warm_up=plan.warm_up,
        iterations=plan.iterations,
        flags=RunFlag.MARKER_EACH,
        want_ticks=True,
        want_outputs=True,
    )
    check_wrap(board.config.id, board.clock, hello.counter_bits, time.monotonic() - timed_from_s)
    if not timed.outputs_equal:
        raise MeasurementError(
            f"board {board.config.id}: the same input gave different outputs within "
            f"{plan.iterations} inferences; the runtime keeps state between inferences"
        )
    passed = client.run(
        inputs,
        warm_up=0,
        iterations=1,
        flags=RunFlag(0),
        want_ticks=True,
        want_outputs=True,
        on_progress=_steps(on_vectors),
    )
    operator_ticks = client.profile(_PROFILED_INFERENCES)
    energy = measure_energy(board, variant, timed, plan.energy)
    memory = client.memory()

    if passed.outputs is None:
        raise MeasurementError(f"board {board.config.id}: outputs were asked for but did not come")
    outputs = variant.decode_outputs(passed.outputs)
    real = variant.real_outputs(outputs)
    judged = (variant.vectors.metric, real, variant.vectors.y)
    ticks = summarise([timed])
    record = SessionRecord(
        board=board.config.id,
        variant=variant.config.name,
        session=plan.number,
        clock=board.clock,
        ticks=ticks,
        memory=memory,
        link=client.link_figures(),
        model_from=_model_from(board, kept=kept, probed=probe is not None),
        restore="board" if loaded.slots else "host",
        slots=loaded.slots,
        wall_s=time.monotonic() - started_s,
        **_energy_fields(energy, meter, ticks, board.clock),
        accuracy=evaluate(*judged),
        tflm=_agreement(outputs, variant.golden, variant.golden_name),
        reference=_agreement(outputs, variant.reference, variant.reference_name),
        operator_ticks=tuple(operator_ticks),
        profiled_inferences=_PROFILED_INFERENCES,
        recoveries=recoveries,
    )
    right, y = correct(*judged), variant.vectors.y
    labels = None if right is None or y is None else np.asarray(y, dtype=np.int32).reshape(-1)
    return SessionData(
        record, outputs, timed.ticks, passed.ticks, energy, right, labels, per_vector(*judged)
    )


def _energy_fields(
    energy: EnergyData | None, meter: EnergyEstimate | None, ticks: TicksSummary, clock: ClockInfo
) -> dict[str, Any]:
    """Measured where there is a meter with samples, estimated where boards.toml asks for that."""
    if energy is not None:
        return {
            "energy_source": energy.source,
            "energy_uj": energy.energy.gross.energy_uj,
            "energy": energy.record,
        }
    assert meter is not None
    return {
        "energy_source": meter.energy_source,
        "energy_uj": session_energy_uj(meter, ticks, clock),
    }


def _steps(on_vectors: Callable[[int], None]) -> Callable[[int], None]:
    """The client tells totals, progress adds steps."""
    before = 0

    def told(total: int) -> None:
        nonlocal before
        on_vectors(total - before)
        before = total

    return told


def check_fits(board: str, variant: PreparedVariant, hello: HelloReply, *, resident: bool) -> None:
    """Refuse a model that the board's memory cannot hold, before anything is sent.

    A resident plan is in flash already; then only the arena needs memory. How large that is, a board
    that plans its memory itself says when it loads the model.

    Raises:
        ModelTooLargeError: states bytes needed and available.
    """
    plan = variant.plan
    held = 0 if resident else -(-len(plan.data) // _ALIGN) * _ALIGN
    needed = held + (plan.arena_bytes or 0)
    if needed > hello.pool_bytes:
        parts = (
            f"model {held:,}, and the arena that it plans itself"
            if plan.arena_bytes is None
            else f"plan {held:,} + arena {plan.arena_bytes:,}"
        )
        least = "at least " if plan.arena_bytes is None else ""
        raise ModelTooLargeError(
            f"board {board}: variant {variant.config.name} needs {least}{needed:,} bytes of memory "
            f"({parts}), the board has {hello.pool_bytes:,}; "
            "take a smaller variant or a larger board"
        )


def check_wrap(board: str, clock: ClockInfo, counter_bits: int, elapsed_s: float) -> None:
    """Refuse ticks that may have lost a whole turn of the counter, which the board cannot see.

    Only where the counter's time is the host's time: an emulator's virtual time is its own.

    Raises:
        MeasurementError: the timed RUN took longer than the counter needs to wrap.
    """
    wrap_s = 2**counter_bits / clock.counter_hz
    if clock.time_base in {"host", "time"} and elapsed_s >= wrap_s:
        raise MeasurementError(
            f"board {board}: the timed inferences took {elapsed_s:.1f} s, the counter "
            f"({counter_bits} bits at {clock.counter_hz:,} Hz) wraps after {wrap_s:.1f} s, so an "
            "inference may be longer than its ticks say; use fewer iterations or a slower counter"
        )


def _check_loaded(board: str, variant: PreparedVariant, loaded: Loaded) -> None:
    plan = variant.plan
    told = (loaded.input_bytes, loaded.output_bytes, loaded.arena_bytes)
    arena_bytes = loaded.arena_bytes if plan.arena_bytes is None else plan.arena_bytes
    expected = (plan.input_bytes, plan.output_bytes, arena_bytes)
    if told != expected:
        raise BoardError(
            f"board {board}: loaded {variant.config.name} with input, output and arena of "
            f"{told[0]}, {told[1]} and {told[2]} bytes, planned were {expected[0]}, {expected[1]} "
            f"and {expected[2]}; "
            "planner and firmware do not belong together: run make firmware"
        )


def _model_from(
    board: OpenBoard, *, kept: bool, probed: bool
) -> Literal["link", "probe", "kept", "image"]:
    if is_resident(board.image):
        return "image"
    if kept:
        return "kept"
    return "probe" if probed else "link"


def _agreement(
    outputs: NDArray[np.generic], expected: NDArray[np.generic] | None, oracle: str
) -> Agreement | None:
    return None if expected is None else agreement(outputs, expected, oracle)
