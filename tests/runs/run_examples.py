"""A small run by hand: two boards, two variants, three sessions, one of everything that fails."""

from __future__ import annotations

from dataclasses import replace

from hilbench.measurement.accuracy import Accuracy
from hilbench.measurement.agreement import Agreement
from hilbench.measurement.latency import TicksSummary
from hilbench.measurement.memory import ImageMemory
from hilbench.records import ClockInfo, LinkFigures, MemoryFigures, PlannedOperator
from hilbench.runs.schema import (
    BoardRecord,
    ErrorRecord,
    ProvenanceRecord,
    SessionRecord,
    VariantRecord,
)

PROVENANCE = ProvenanceRecord(
    name="digits",
    run_id="20260102-030405-digits",
    started_utc="2026-01-02T03:04:05+00:00",
    hilbench="0.1.0",
    python="3.11.2",
    platform="Linux",
    packages={"numpy": "1.26.4"},
    git_commit=None,
    git_dirty=None,
    argv=("hilbench", "demo"),
    files={"boards.toml": "aa"},
    cells=(("m4", "int8"), ("m4", "fp32"), ("native", "int8"), ("native", "fp32")),
    sessions=3,
    warm_up=1,
    iterations=10,
)

BOARD = BoardRecord(
    board="m4",
    port="mps2-an386",
    chip="cortex-m4",
    unique_id="",
    emulated=True,
    emulator="qemu 7.2",
    runtime="plan 1",
    kernels="portable",
    protocol_version=1,
    counter_bits=32,
    counter_overhead_ticks=2,
    pool_bytes=65536,
    packet_bytes=1024,
    window_bytes=4096,
    port_untested=False,
    image_build_id="b1",
    image_sha256="c1",
    compiler="gcc 12.2",
    flags="-O2",
    image=ImageMemory(1000, 200, 30, 70000, ((".text", 1000), (".rodata", 200), (".data", 30), (".bss", 70000))),
    supply_v=3.3,
    active_ma=2.5,
    tags=("emulated",),
)  # fmt: skip

VARIANT = VariantRecord(
    board="m4",
    variant="int8",
    technique="post-training quantisation",
    parent="fp32",
    model="cnn_int8.tflite",
    model_sha256="d1",
    tflite_bytes=40000,
    zlib_bytes=30000,
    plan_sha256="e1",
    plan_bytes=38000,
    arena_bytes=4096,
    operators=(
        PlannedOperator(0, "CONV_2D+RELU", "conv_s8", 9216, (1, 8, 8, 16)),
        PlannedOperator(1, "SOFTMAX", "softmax_s8", 0, (1, 10)),
    ),
    vectors_name="digits",
    vectors_sha256="f1",
    vectors_n=450,
    quantise="host: scale 0.0039 zero point -128",
    tflm="tflite-micro 0.dev1",
    reference="tflite-runtime 2.14",
    reference_accuracy=Accuracy("top1", 0.98, 0.96, 0.99, 450, 441),
)

SESSION = SessionRecord(
    board="m4",
    variant="int8",
    session=1,
    clock=ClockInfo("instructions", "instructions", 2.5, 25_000_000, "declared"),
    ticks=TicksSummary(10, 10, 1000.0, 990, 1010, 10_000, 1500, 50, outputs_equal=True),
    memory=MemoryFigures(2048, 600, 38000, 4096, 20000),
    link=LinkFigures(50_000, 6_000, 1, 2, 3, 0),
    model_from="link",
    restore="board",
    slots=100,
    wall_s=1.5,
    energy_source="synthetic",
    energy_uj=6.0,
    accuracy=Accuracy("top1", 0.97, 0.95, 0.98, 450, 437),
    tflm=Agreement("TFLM", 450, 450, ((0, 4500),), 0, None),
    reference=Agreement("tflite-runtime", 450, 440, ((-1, 10), (0, 4490)), 1, None),
    operator_ticks=(3000, 1000),
    profiled_inferences=4,
)


def session(number, median=1000.0, **changes):
    """A session whose ticks lie around a median."""
    ticks = replace(
        SESSION.ticks,
        median=median,
        minimum=int(median) - 10,
        maximum=int(median) + 10,
        sum=int(median) * 10,
    )
    return replace(SESSION, session=number, **({"ticks": ticks} | changes))


NATIVE_CLOCK = ClockInfo("host", "us", 0.001, 1_000_000_000, "declared")
NATIVE_BOARD = replace(BOARD, board="native", port="posix", chip="", emulator="native")
CELL_ERROR = ErrorRecord("m4", "fp32", None, "ModelTooLargeError", "needs 9 bytes, has 8", 2)
BOARD_ERROR = ErrorRecord("native", None, None, "BoardError", "board native: died", 3)
