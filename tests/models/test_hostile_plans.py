"""The device side of the plan format: every number is checked before the first operator runs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from builders import operator_models as models
from builders.host_runtime import SOURCES, HostRuntime, RuntimeFaultError, compile_c
from hilbench.models.planner import layout, plan_model
from hilbench.models.planner.sets import kernel_sets, records
from hilbench.models.tflite_file import parse_model
from hilbench.records import Plan

pytestmark = pytest.mark.firmware

BAD_MODEL, NO_MEMORY = 1, 2
RECORDS_AT = layout.packer(layout.HEADER.fields).size


def plan(data: bytes) -> Plan:
    return plan_model(parse_model(data, Path("generated.tflite")))


CONV = plan(models.convolution(1))
ADD = plan(models.add_twice())
TABLE = plan(models.unary("QUANTIZE", scales=(0.05, 0.1)))
BINARY = plan(models.binary("SUB", shapes=((2, 3, 4), (3, 1))))
CONSTANT = plan(models.binary("SUB", shapes=((2, 3, 4), (3, 1)), constant=1))
COPY = plan(models.transpose((3, 4, 5), [0, 2, 1]))
MEAN = plan(models.mean(shape=(2, 3, 4, 5), axes=(1, 3)))
HYBRID = plan(models.fully_connected(1, "float32", hybrid=True))
CONV_HYBRID = plan(models.convolution(1, "float32", hybrid=True))


def changed(original: Plan, fields: tuple[layout.Field, ...], at: int, **values: int) -> bytes:
    known = layout.unpack(fields, original.data, at)
    assert set(values) <= set(known)
    record = layout.pack(fields, known | values)
    return original.data[:at] + record + original.data[at + len(record) :]


def fault(runtime: HostRuntime, data: bytes, arena_bytes: int) -> tuple[int, int, int]:
    with pytest.raises(RuntimeFaultError) as caught:
        runtime.load(data, arena_bytes)
    return caught.value.status, caught.value.reason, caught.value.position


def reason(name: str) -> int:
    return layout.FAULTS[name][0]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"magic": 0}, "magic"),
        ({"version": 2}, "version"),
        ({"length": len(CONV.data) - 1}, "length"),
        ({"length": 0xFFFFFFFF}, "length"),
        ({"operators_offset": 0}, "section"),
        ({"operators_offset": 0xFFFFFFFC}, "section"),
        ({"constants_offset": len(CONV.data) + 16}, "section"),
        ({"constants_offset": RECORDS_AT + 8}, "section"),
        ({"operators": 2}, "kind"),
        ({"operators": 0xFFFF}, "kind"),
        ({"input": 8}, "boundary"),
        ({"input": 0xFFFFFFF0}, "boundary"),
        ({"input_bytes": 0}, "boundary"),
        ({"output_bytes": 0x7FFFFFFF}, "boundary"),
        ({"arena_bytes": 0xFFFFFFF0}, "boundary"),
    ],
)
def test_header(values, expected, runtime):
    data = changed(CONV, layout.HEADER.fields, 0, **values)
    status, why, _ = fault(runtime, data, CONV.arena_bytes)
    assert (status, why) == (BAD_MODEL, reason(expected))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"kind": 0}, "kind"),
        ({"kind": 999}, "kind"),
        ({"bytes": 0}, "record"),
        ({"bytes": 0xFFFF}, "record"),
        ({"kind": records()["add_s8"].kind}, "record"),
        ({"input": 4}, "tensor"),
        ({"input": 0xFFFFFFF0}, "tensor"),
        ({"output": CONV.arena_bytes}, "tensor"),
        ({"weights": 1}, "constant"),
        ({"weights": 0x7FFFFFF0}, "constant"),
        ({"bias": len(CONV.data)}, "constant"),
        ({"border_bias": len(CONV.data)}, "constant"),
        ({"multipliers": len(CONV.data)}, "constant"),
        ({"shifts": len(CONV.data)}, "constant"),
        ({"in_h": 0}, "shape"),
        ({"in_c": 0xFFFF}, "tensor"),
        ({"out_c": 0xFFFF}, "tensor"),
        ({"out_h": 0xFFFF}, "shape"),
        ({"kernel_h": 0}, "shape"),
        ({"kernel_w": 500}, "constant"),
        ({"stride_h": 0}, "shape"),
        ({"stride_w": 0xFFFF}, "shape"),
        ({"dilation_h": 0}, "shape"),
        ({"dilation_w": 0xFFFF}, "shape"),
        ({"pad_top": 3}, "shape"),
        ({"input_zero_point": 128}, "parameter"),
        ({"output_zero_point": -129}, "parameter"),
        ({"minimum": 100, "maximum": 99}, "parameter"),
        ({"maximum": 128}, "parameter"),
        # offsets that exist but hold other constants: weights are no multipliers
        ({"shifts": 0}, "parameter"),
    ],
)
def test_record(values, expected, runtime):
    data = changed(CONV, records()["conv_s8"].flat, RECORDS_AT, **values)
    assert fault(runtime, data, CONV.arena_bytes) == (BAD_MODEL, reason(expected), RECORDS_AT)


@pytest.mark.parametrize(
    ("plan", "values", "expected"),
    [
        (TABLE, {"table": 0x7FFFFFF0}, "constant"),
        (TABLE, {"table": 16}, "constant"),
        (TABLE, {"count": 0xFFFFFFFF}, "tensor"),
        (BINARY, {"mode": 6}, "shape"),
        (BINARY, {"constant": 2}, "shape"),
        (BINARY, {"size_3": 0}, "shape"),
        (BINARY, {"size_3": 0xFFFFFFFF}, "tensor"),
        (BINARY, {"size_0": 0xFFFFFFFF, "size_3": 0xFFFFFFFF}, "tensor"),
        (BINARY, {"stride_1_3": 0xFFFFFFFF}, "tensor"),
        (BINARY, {"stride_2_2": 0x7FFFFFFF}, "tensor"),
        (BINARY, {"input_2": 4}, "tensor"),
        (BINARY, {"constant": 1, "input_2": 0x7FFFFFF0}, "constant"),
        (BINARY, {"input_2_zero_point": 128}, "parameter"),
        (BINARY, {"shift_2": 1}, "parameter"),
        (CONSTANT, {"stride_2_3": 2}, "constant"),
        (COPY, {"block": 0}, "shape"),
        (COPY, {"block": 0xFFFFFFFF}, "shape"),
        (COPY, {"size_0": 0}, "shape"),
        (COPY, {"size_0": 0xFFFFFFFF}, "shape"),
        (COPY, {"size_4": 2**31, "size_3": 2**31, "size_2": 4}, "shape"),
        (COPY, {"in_offset": 0x7FFFFFFF}, "tensor"),
        (COPY, {"out_offset": COPY.arena_bytes}, "tensor"),
        (COPY, {"in_stride_4": -(2**31)}, "tensor"),
        (COPY, {"out_stride_4": 2**31 - 1}, "tensor"),
        (COPY, {"out_stride_4": -12}, "tensor"),
        (COPY, {"fill_bytes": 0x7FFFFFFF}, "tensor"),
        (MEAN, {"kept_0": 0}, "shape"),
        (MEAN, {"summed_1": 0xFFFFFFFF}, "shape"),
        (MEAN, {"kept_1": 0xFFFFFFFF}, "shape"),
        (MEAN, {"kept_stride_0": 0xFFFFFFFF}, "tensor"),
        (MEAN, {"summed_stride_1": 0x10000}, "tensor"),
        (HYBRID, {"scratch": 8}, "tensor"),
        (HYBRID, {"scratch": HYBRID.arena_bytes}, "tensor"),
        (HYBRID, {"depth": 0x80000000}, "shape"),
        (HYBRID, {"asymmetric": 2}, "shape"),
        (HYBRID, {"weights": 0x7FFFFFF0}, "constant"),
        (HYBRID, {"weight_scales": 0x7FFFFFF0}, "constant"),
        (CONV_HYBRID, {"scratch": CONV_HYBRID.arena_bytes}, "tensor"),
        (CONV_HYBRID, {"asymmetric": 2}, "shape"),
        (CONV_HYBRID, {"kernel_h": 0}, "shape"),
        (CONV_HYBRID, {"out_c": 0xFFFF}, "tensor"),
        (CONV_HYBRID, {"weight_scales": 0x7FFFFFF0}, "constant"),
    ],
)
def test_record_of_other_kernels(plan, values, expected, runtime):
    flat = records()[plan.operators[0].kernel].flat
    data = changed(plan, flat, RECORDS_AT, **values)
    assert fault(runtime, data, plan.arena_bytes) == (BAD_MODEL, reason(expected), RECORDS_AT)


def test_the_last_operator_is_checked_before_the_first_runs(runtime):
    at = RECORDS_AT + records()["lut_s8"].bytes
    data = changed(ADD, records()["add_s8"].flat, at, shift_1=1)
    assert fault(runtime, data, ADD.arena_bytes) == (BAD_MODEL, reason("parameter"), at)


@pytest.mark.parametrize("length", [0, 1, RECORDS_AT - 1])
def test_shorter_than_a_header(length, runtime):
    expected = (BAD_MODEL, reason("too_short"), length)
    assert fault(runtime, CONV.data[:length], CONV.arena_bytes) == expected


def test_arena_too_small_states_the_bytes_needed(runtime):
    needed = CONV.arena_bytes
    assert fault(runtime, CONV.data, needed - 1) == (NO_MEMORY, needed, 0)


def test_a_failed_load_leaves_nothing_loaded(runtime):
    runtime.load(CONV.data, CONV.arena_bytes)
    runtime.invoke()
    fault(runtime, CONV.data[:-1], CONV.arena_bytes)
    with pytest.raises(RuntimeFaultError) as caught:
        runtime.invoke()
    assert (caught.value.status, caught.value.reason) == (BAD_MODEL, reason("not_loaded"))


def test_marks_follow_every_operator(runtime):
    model = runtime.load(ADD.data, ADD.arena_bytes)
    assert model.operators == len(ADD.operators) == 2
    assert runtime.invoke_marked() == [0, 1]


def test_names(runtime):
    assert (runtime.name, runtime.kernels) == (f"plan {layout.VERSION}", "portable")


def test_memory_outside_the_arena_is_untouched(runtime):
    """A larger arena than needed: the rest keeps its pattern."""
    model = runtime.load(CONV.data, CONV.arena_bytes + 64)
    runtime.invoke()
    assert model.arena_bytes == CONV.arena_bytes
    assert np.all(runtime._arena[CONV.arena_bytes :] == 0xA5)


def test_mutated_plans_under_the_sanitizers(tmp_path):
    program = tmp_path / "plan_fuzz"
    sources = [*SOURCES, Path(__file__).parent / "plan_fuzz.c"]
    flags = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    compile_c(program, sources, flags)
    plans = {
        "conv": CONV,
        "add": ADD,
        "depthwise": plan(models.convolution(2, depthwise=True, in_c=2, dilation=(2, 2))),
        "dilated": plan(models.convolution(2, out_c=6, dilation=(2, 2))),
        "fc": plan(models.fully_connected(3, per_channel=True)),
        "average": plan(models.pool()),
        "max": plan(models.pool(kind="MAX_POOL_2D")),
        "mean": plan(models.mean()),
        "softmax": plan(models.softmax(shape=(3, 7))),
        "quantize": plan(models.unary("QUANTIZE", ("float32", "int8"))),
        "dequantize": plan(models.unary("DEQUANTIZE", ("int8", "float32"))),
        "conv_f32": plan(models.convolution(1, "float32")),
        "depthwise_f32": plan(models.convolution(1, "float32", depthwise=True, in_c=2)),
        "fc_f32": plan(models.fully_connected(1, "float32")),
        "add_f32": plan(models.add_twice("float32")),
        "average_f32": plan(models.pool("float32")),
        "max_f32": plan(models.pool("float32", kind="MAX_POOL_2D")),
        "mean_f32": plan(models.mean("float32")),
        "softmax_f32": plan(models.softmax("float32")),
        "table": plan(models.unary("TANH", scales=(0.05, 1 / 128), zero_points=(3, 0))),
        "unary_f32": plan(models.unary("TANH", ("float32", "float32"))),
        "binary": BINARY,
        "constant": CONSTANT,
        "binary_f32": plan(models.binary("MUL", "float32", shapes=((2, 3, 4), (3, 1)))),
        "copy": COPY,
        "strided": plan(models.strided_slice((6, 5), ([5, 3], [0, 0], [-2, -1]), (3, 3))),
        "split": plan(models.split((1, 4, 6, 8), 2, 3)),
        "mean_2": MEAN,
        "fc_hybrid": HYBRID,
        "conv_hybrid": plan(models.convolution(1, "float32", hybrid=True)),
        "depthwise_hybrid": plan(
            models.convolution(1, "float32", depthwise=True, in_c=2, hybrid=True)
        ),
    }
    kernels = {operator.kernel for planned in plans.values() for operator in planned.operators}
    assert kernels == {record.name for record in kernel_sets()["portable"].records}
    for name, planned in plans.items():
        (tmp_path / name).write_bytes(planned.data)
    done = subprocess.run(
        [program, "1", "12000", *(tmp_path / name for name in plans)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    counts = {
        (int(status), int(why)): int(n)
        for status, why, n in (line.split() for line in done.stdout.splitlines())
    }
    assert counts[0, 0] > 1000, "too few mutants ran"
    every = {why for why, _ in layout.FAULTS.values()} - {reason("not_loaded")}
    assert {why for status, why in counts if status == BAD_MODEL} == every


def test_kinds_are_unique():
    kinds = [record.kind for record in records().values()]
    assert len(kinds) == len(set(kinds))
