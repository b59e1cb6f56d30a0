"""Models with several inputs and outputs: one block each way, in the plan and over the link."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from builders import operator_models as models
from builders.tflite_builder import ModelBuilder
from hilbench.errors import VectorError
from hilbench.models.boundary import as_one, join_inputs, split_outputs
from hilbench.models.planner import plan_model
from hilbench.models.tflite_file import parse_model
from hilbench.models.vectors import load_vectors, prepare_inputs
from hilbench.records import Plan, TensorInfo, VectorsConfig, block_bytes, block_offsets

INT8 = {"scale": 0.05, "zero_point": 3}


def plan(data: bytes) -> Plan:
    return plan_model(parse_model(data, Path("some.tflite")))


def info(dtype: str, *shape: int) -> TensorInfo:
    return TensorInfo("t", shape, dtype, 0.05, 3)


def fork() -> bytes:
    """Two inputs, five outputs.

    A sum; the same in another shape; an input as it came; a part of the other input; a tensor that
    another operator reads, too.
    """
    model = ModelBuilder()
    a, b = model.tensor((1, 4, 5), "int8", **INT8), model.tensor((1, 1, 5), "int8", **INT8)
    total = model.tensor((1, 4, 5), "int8", scale=0.1)
    flat = model.tensor((1, 20), "int8", scale=0.1)
    top, bottom = (model.tensor((1, 2, 5), "int8", **INT8) for _ in range(2))
    table = model.tensor((1, 20), "int8", scale=1 / 128)
    axis = model.tensor((1,), "int32", data=np.array([1], np.int32))
    shape = model.tensor((2,), "int32", data=np.array([1, 20], np.int32))
    model.operator("ADD", [a, b], [total], "AddOptions")
    model.operator("RESHAPE", [total, shape], [flat])
    model.operator("SPLIT", [axis, a], [top, bottom], "SplitOptions", NumSplits=2)
    model.operator("TANH", [flat], [table])
    return model.build([a, b], [total, flat, b, bottom, table])


def test_offsets_are_aligned_and_in_order():
    tensors = [info("int8", 1, 5), info("float32", 1, 3), info("int8", 17)]
    assert block_offsets(tensors) == (0, 16, 32)
    assert block_bytes(tensors) == 49


def test_what_is_joined_comes_apart_again():
    tensors = [info("int8", 1, 5), info("float32", 1, 3), info("int8", 2, 2)]
    rng = np.random.default_rng(1)
    arrays = [
        rng.integers(-128, 128, (4, 5)).astype(np.int8),
        rng.normal(size=(4, 3)).astype(np.float32),
        rng.integers(-128, 128, (4, 2, 2)).astype(np.int8),
    ]
    block = join_inputs(tensors, arrays)
    assert block.shape == (4, 36)
    assert not block[:, 5:16].any()
    for found, expected in zip(split_outputs(tensors, block), arrays, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_outputs_of_two_types_are_not_compared():
    with pytest.raises(VectorError) as caught:
        as_one([np.zeros((1, 2), np.int8), np.zeros((1, 2), np.float32)])
    assert str(caught.value) == (
        "outputs are float32 and int8, results are compared in one type; "
        "export the model with outputs of one type"
    )


@pytest.mark.firmware
def test_two_inputs_and_five_outputs(runtime, tflm):
    data = fork()
    planned = plan(data)
    assert [t.shape for t in planned.inputs] == [(1, 4, 5), (1, 1, 5)]
    assert [t.shape for t in planned.outputs] == [
        (1, 4, 5), (1, 20), (1, 1, 5), (1, 2, 5), (1, 20),
    ]  # fmt: skip
    # what shares memory with another tensor is copied to where it goes out
    assert [o.name for o in planned.operators].count("COPY") == 2
    rng = np.random.default_rng(2)
    inputs = [rng.integers(-128, 128, (6, *t.shape)).astype(np.int8) for t in planned.inputs]
    for y, expected in zip(
        runtime.run_many(planned, inputs), tflm.run_many(data, inputs), strict=True
    ):
        np.testing.assert_array_equal(y, expected.reshape(y.shape))


@pytest.mark.firmware
def test_an_output_that_is_an_input(runtime):
    model = ModelBuilder()
    a, b = model.tensor((1, 3), "int8", **INT8), model.tensor((1, 3), "int8", **INT8)
    planned = plan(model.build([a, b], [b]))
    x = [np.array([[[1, 2, 3]]], np.int8), np.array([[[4, 5, 6]]], np.int8)]
    assert runtime.run_many(planned, x)[0].tolist() == [[[4, 5, 6]]]


def test_splits_and_concatenations_of_aligned_blocks_move_nothing():
    def names(data: bytes) -> list[str]:
        return [operator.name for operator in plan(data).operators]

    # three inputs go out at once: the model's inputs stay in their own block
    assert names(models.concatenation(((1, 16), (1, 16)), 1)) == ["CONCATENATION"] * 2
    assert names(models.transpose((1, 4, 1, 3), [0, 2, 1, 3])) == []
    model = ModelBuilder()
    x, y, z, out = (
        model.tensor(shape, "int8", **INT8) for shape in ((1, 32), (1, 32), (1, 32), (1, 64))
    )
    model.operator("RELU", [x], [y])
    model.operator("RELU6", [x], [z])
    model.operator("CONCATENATION", [y, z], [out], "ConcatenationOptions", Axis=1)
    planned = plan(model.build([x], [out]))
    assert [operator.name for operator in planned.operators] == ["RELU", "RELU6"]
    assert planned.arena_bytes == 32 + 64


@pytest.mark.firmware
@pytest.mark.parametrize("width", [32, 30])
def test_branches_that_meet_again(width, runtime, tflm):
    """y goes into the concatenation and is read besides; at 30 bytes z must be copied."""
    model = ModelBuilder()
    x, y, z = (model.tensor((1, width), "int8", **INT8) for _ in range(3))
    both = model.tensor((1, 3 * width), "int8", **INT8)
    total = model.tensor((1, width), "int8", **INT8)
    axis = model.tensor((1,), "int32", data=np.array([1], np.int32))
    parts = [model.tensor((1, width), "int8", **INT8) for _ in range(3)]
    model.operator("RELU", [x], [y])
    model.operator("RELU6", [y], [z])
    model.operator("CONCATENATION", [y, z, y], [both], "ConcatenationOptions", Axis=1)
    model.operator("SPLIT", [axis, both], parts, "SplitOptions", NumSplits=3)
    model.operator("SUB", [parts[1], parts[2]], [total], "SubOptions")
    data = model.build([x], [total])
    v = np.random.default_rng(3).integers(-128, 128, (8, 1, width)).astype(np.int8)
    y_ = runtime.run(plan(data), v)
    np.testing.assert_array_equal(y_, tflm.run(data, v).reshape(y_.shape))


# --- vectors --------------------------------------------------------------------------------------


def saved(folder: Path, **arrays: np.ndarray) -> VectorsConfig:
    file = folder / "v.npz"
    np.savez(file, **arrays)
    return VectorsConfig(name="v", file=file, metric="none")


def test_one_array_per_input(tmp_path):
    raw = load_vectors(saved(tmp_path, x0=np.ones((2, 3), np.float32), x1=np.ones((2, 4), np.int8)))
    ready, how = prepare_inputs(raw, [info("int8", 1, 3), info("int8", 1, 4)], "host")
    assert [x.dtype.name for x in ready.inputs] == ["int8", "int8"]
    assert ready.x.tolist() == [[23, 23, 23]] * 2
    assert how == "x0 host: scale 0.05 zero point 3; x1 none"


def test_as_many_vectors_for_each_input(tmp_path):
    config = saved(tmp_path, x0=np.ones((2, 3)), x1=np.ones((3, 4)))
    with pytest.raises(VectorError) as caught:
        load_vectors(config)
    assert str(caught.value) == (
        f"{config.file}: x0, x1, … hold 2, 3 vectors, must be as many each"
    )


@pytest.mark.parametrize(
    ("arrays", "tensors", "sentence"),
    [
        (["x"], 2, "1 arrays of inputs, the model has 2 inputs; save an .npz with x0, x1"),
        (["x0", "x1"], 1, "2 arrays of inputs, the model has 1 inputs; save an .npz with x"),
    ],
)
def test_arrays_for_other_inputs(arrays, tensors, sentence, tmp_path):
    raw = load_vectors(saved(tmp_path, **{name: np.ones((1, 3), np.int8) for name in arrays}))
    with pytest.raises(VectorError) as caught:
        prepare_inputs(raw, [info("int8", 1, 3)] * tensors, "host")
    assert str(caught.value) == f"vectors 'v': {sentence}"


@pytest.mark.firmware
def test_oracles_want_an_array_per_input(tflm, reference):
    data = fork()
    for oracle in (tflm, reference):
        with pytest.raises(VectorError, match="vectors for 1 inputs, the model has 2; give one"):
            oracle.run_many(data, [np.zeros((1, 4, 5), np.int8)])
        x = [np.zeros((1, 4, 5), np.int8), np.zeros((1, 1, 5), np.int8)]
        assert len(oracle.run_many(data, x)) == 5
    with pytest.raises(VectorError, match="the model has 2 outputs, must have 1; use run_many"):
        tflm.run(models.split((1, 4), 1, 2), np.zeros((1, 4), np.int8))
