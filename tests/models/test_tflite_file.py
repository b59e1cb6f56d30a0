"""The .tflite reader: what it reads, and that no bytes whatever make it fail otherwise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from builders import operator_models as models
from builders.tflite_builder import ModelBuilder
from hilbench.errors import ModelError
from hilbench.models.planner import plan_model
from hilbench.models.tflite_file import parse_model, read_model

CONV = models.convolution(1, scales=[0.1, 0.2, 0.3, 0.4], zero_points=(3, -7), stride=(2, 1))
NAME = Path("some.tflite")


def test_reads_what_was_built():
    model = parse_model(CONV, NAME)
    (operator,) = model.operators
    assert operator.name == "CONV_2D"
    assert operator.options["Padding"] == "SAME"
    assert (operator.options["StrideH"], operator.options["StrideW"]) == (2, 1)
    x, w, b, y = (model.tensors[i] for i in (*operator.inputs, *operator.outputs))
    assert (x.shape, x.dtype, x.data) == ((1, 7, 6, 3), "int8", None)
    assert x.scales.tolist() == [np.float32(0.05)]
    assert x.zero_points.tolist() == [3]
    assert w.scales.tolist() == [np.float32(s) for s in (0.1, 0.2, 0.3, 0.4)]
    assert w.data.shape == (4, 3, 3, 3)
    assert w.data.dtype == np.int8
    assert b.data.dtype == np.int32
    assert (y.shape, y.bytes) == ((1, 4, 6, 4), 96)
    assert (model.inputs, model.outputs) == ((x.index,), (y.index,))


def test_reads_a_file(tmp_path):
    path = tmp_path / "conv.tflite"
    path.write_bytes(CONV)
    assert read_model(path).sha256 == parse_model(CONV, NAME).sha256


def test_missing_file(tmp_path):
    with pytest.raises(ModelError) as caught:
        read_model(tmp_path / "absent.tflite")
    assert str(caught.value) == (
        f"{tmp_path}/absent.tflite: cannot be read (No such file or directory); check the path"
    )


@pytest.mark.parametrize("data", [b"", b"TFL3", b"\x89PNG\r\n\x1a\n" + bytes(100)])
def test_other_files(data):
    with pytest.raises(ModelError) as caught:
        parse_model(data, NAME)
    assert str(caught.value) == (
        f"some.tflite: not a .tflite file ({len(data)} bytes, no TFL3 at byte 4); "
        "convert the model to TensorFlow Lite first"
    )


def test_another_schema_version():
    model = ModelBuilder()
    x = model.tensor((1, 2), "float32")
    with pytest.raises(ModelError) as caught:
        parse_model(model.build([x], [x], version=7), NAME)
    assert str(caught.value) == (
        "some.tflite: corrupt or truncated .tflite file (schema version 7, not 3); "
        "export or copy it again"
    )


def test_tensor_index_outside():
    model = ModelBuilder()
    x = model.tensor((1, 2), "float32")
    model.operator("RELU", [5], [x])
    with pytest.raises(ModelError, match=r"\(tensor 5 of 1\)"):
        parse_model(model.build([x], [x]), NAME)


def test_constant_of_the_wrong_size():
    model = ModelBuilder()
    x = model.tensor((1, 2), "float32", data=np.zeros(3, np.float32))
    with pytest.raises(ModelError, match="tensor 0 has 12 bytes of data, not 8"):
        parse_model(model.build([x], [x]), NAME)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_scale_that_is_no_scale(scale):
    model = ModelBuilder()
    x = model.tensor((1, 2), "int8", scale=scale)
    with pytest.raises(ModelError, match="tensor 0 has a scale that is not a positive number"):
        parse_model(model.build([x], [x]), NAME)


def test_tables_that_share_one_long_vector_end_in_time():
    """4000 operators on one list of 100,000 inputs would be 400 million numbers."""
    model = ModelBuilder()
    x = model.tensor((1, 2), "float32")
    inputs = [x] * 100_000
    for _ in range(4_000):
        model.operator("RELU", inputs, [x])
    with pytest.raises(ModelError, match="tables share vectors without end"):
        parse_model(model.build([x], [x]), NAME)


def attempt(data: bytes) -> bool:
    """Reads and plans; True when both worked. Anything but ModelError fails the test."""
    try:
        plan_model(parse_model(data, NAME))
    except ModelError as error:
        message = str(error)
    else:
        return True
    assert message.startswith("some.tflite: ")
    assert "\n" not in message
    return False


def test_truncated_anywhere():
    assert attempt(CONV)
    worked = [attempt(CONV[:length]) for length in range(len(CONV))]
    assert not any(worked[: len(CONV) // 2])


@pytest.mark.parametrize(
    "data",
    [CONV, models.fully_connected(1), models.mean(), models.softmax(), models.add_twice()],
    ids=["conv", "fc", "mean", "softmax", "add"],
)
def test_flipped_bits_and_bytes(data):
    rng = np.random.default_rng(4)
    for _ in range(600):
        mutant = bytearray(data)
        for position in rng.integers(8, len(data), rng.integers(1, 4)):
            if rng.random() < 0.5:
                mutant[position] ^= 1 << rng.integers(8)
            else:
                mutant[position] = rng.choice([0, 0x7F, 0x80, 0xFF])
        attempt(bytes(mutant))
