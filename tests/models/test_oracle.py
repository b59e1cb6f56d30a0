"""Host oracles: shapes, refusals, comparison by LSB."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from builders import operator_models as models
from hilbench.errors import ModelError, ToolMissingError, VectorError
from hilbench.models.oracle import TFLM_VERSION, HostReference, TflmOracle, lsb_histogram

FC = models.fully_connected(1, in_shape=(1, 8), units=3)
MODEL = models.pool(size=(4, 4), channels=2)


@pytest.fixture(params=[HostReference, TflmOracle])
def oracle(request):
    try:
        return request.param()
    except ToolMissingError as error:
        pytest.skip(str(error))


def test_names_say_package_and_version(reference):
    package, version = reference.name.split(" ")
    assert package in {"tflite-runtime", "ai-edge-litert"}
    assert version[0].isdigit()


def test_with_and_without_the_batch_dimension(oracle, tmp_path):
    x = np.random.default_rng(6).integers(-128, 128, (3, 4, 4, 2)).astype(np.int8)
    y = oracle.run(MODEL, x)
    assert (y.shape, y.dtype) == ((3, 2, 2, 2), np.int8)
    path = tmp_path / "pool.tflite"
    path.write_bytes(MODEL)
    np.testing.assert_array_equal(oracle.run(path, x[:, np.newaxis]), y)


def test_every_vector_has_its_own_answer(oracle):
    x = np.random.default_rng(7).integers(-128, 128, (6, 8)).astype(np.int8)
    y = oracle.run(FC, x)
    np.testing.assert_array_equal(y[::-1], oracle.run(FC, x[::-1]))
    assert len(np.unique(y, axis=0)) > 1


def test_no_vectors(oracle):
    assert oracle.run(MODEL, np.zeros((0, 4, 4, 2), np.int8)).shape == (0, 2, 2, 2)


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (np.zeros((2, 4, 4, 2), np.float32), "float32[2, 4, 4, 2]"),
        (np.zeros((2, 4, 4), np.int8), "int8[2, 4, 4]"),
        (np.int8(1), "int8[]"),
    ],
)
def test_wrong_vectors(oracle, x, text):
    with pytest.raises(VectorError) as caught:
        oracle.run(MODEL, np.asarray(x))
    assert str(caught.value) == (
        f"vectors are {text}, the model takes int8[n,4,4,2]; convert the vectors"
    )


def test_missing_file(oracle):
    with pytest.raises(ModelError) as caught:
        oracle.run(Path("/absent.tflite"), np.zeros((1, 2), np.int8))
    assert str(caught.value) == (
        "/absent.tflite: cannot be read (No such file or directory); check the path"
    )


def test_the_reference_refuses_what_is_no_model(reference):
    with pytest.raises(ModelError) as caught:
        reference.run(b"nothing of the kind", np.zeros((1, 2), np.int8))
    assert str(caught.value).startswith(f"model: {reference.name} refuses it (")
    assert str(caught.value).endswith("); check that it is a .tflite file")


def test_reference_missing(monkeypatch):
    for module in ("tflite_runtime.interpreter", "ai_edge_litert.interpreter"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ToolMissingError) as caught:
        HostReference()
    assert str(caught.value) == (
        "no TensorFlow Lite on this host; install it with: pip install ai-edge-litert"
        " (Python 3.11 and older: pip install tflite-runtime)"
    )


def test_tflm_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "tflite_micro.python.tflite_micro.runtime", None)
    with pytest.raises(ToolMissingError) as caught:
        TflmOracle()
    assert str(caught.value) == (
        "TensorFlow Lite Micro is not installed; "
        f"install it with: pip install tflite-micro=={TFLM_VERSION}"
    )


def test_lsb_histogram():
    a = np.array([1, -128, 5, 5], np.int8)
    b = np.array([1, 127, 4, 6], np.int8)
    assert lsb_histogram(a, b) == {0: 1, 1: 2, 255: 1}


def test_lsb_histogram_of_floats_or_other_shapes():
    with pytest.raises(ValueError, match=r"cannot compare float32\(2,\) with int8\(2,\) by LSB"):
        lsb_histogram(np.zeros(2, np.float32), np.zeros(2, np.int8))
    with pytest.raises(ValueError, match=r"cannot compare int8\(3,\) with int8\(2,\) by LSB"):
        lsb_histogram(np.zeros(3, np.int8), np.zeros(2, np.int8))


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_a_depthwise_convolution_without_bias_does_not_reach_tensorflow_lite(dtype):
    data = models.convolution(1, dtype, depthwise=True, in_c=4, bias=False)
    reference = HostReference()
    for ask in (
        lambda: reference.run(data, np.zeros((1, 7, 6, 4), dtype)),
        lambda: list(reference.tensors(data, [np.zeros((1, 7, 6, 4), dtype)], [2])),
    ):
        with pytest.raises(ModelError) as caught:
            ask()
        assert str(caught.value) == (
            f"model: {reference.name} crashes on operator 0 DEPTHWISE_CONV_2D without a bias; "
            "export the model with biases (zeros do)"
        )
