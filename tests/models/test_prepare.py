"""What the host says of a variant before any board is touched."""

from __future__ import annotations

import numpy as np
import pytest

from builders import operator_models as models
from hilbench.bench.prepare import prepare_variant
from hilbench.errors import ModelError
from hilbench.models.vectors import RawVectors
from hilbench.records import VariantConfig, VectorsConfig


def prepared(tmp_path, dtype: str):
    path = tmp_path / "m.tflite"
    path.write_bytes(models.convolution(3, dtype, depthwise=True, in_c=4, out_c=4, bias=False))
    x = np.random.default_rng(1).integers(-128, 128, (3, 7, 6, 4)).astype(dtype)
    raw = RawVectors("v", x, None, "0" * 64, "none")
    table = VectorsConfig(name="v", file=tmp_path / "v.npz", metric="none")
    return prepare_variant(VariantConfig("m", path, "v"), raw, table, None)


CRASHES = (
    " crashes on operator 0 DEPTHWISE_CONV_2D without a bias; export the model with biases "
    "(zeros do)"
)


def test_a_model_that_the_host_interpreter_refuses_is_compared_with_tflm_alone(tmp_path, tflm):
    ready = prepared(tmp_path, "int8")
    assert ready.reference is None
    assert ready.reference_accuracy is None
    assert ready.reference_name.endswith(CRASHES)
    assert ready.golden is not None
    assert ready.golden_name == tflm.name


def test_a_model_that_nothing_else_could_judge_needs_the_host_interpreter(tmp_path):
    with pytest.raises(ModelError) as caught:
        prepared(tmp_path, "float32")
    assert str(caught.value).endswith(CRASHES)
