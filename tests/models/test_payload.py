"""What a TensorFlow Lite Micro board is sent, against the plan of the same model."""

from __future__ import annotations

from pathlib import Path

import pytest

import hilbench
from builders import operator_models
from hilbench.models.payload import takes_tflite, tflite_payload
from hilbench.models.planner import plan_model
from hilbench.models.tflite_file import parse_model, read_model

ZOO = Path(hilbench.__path__[0]) / "zoo" / "digits"


@pytest.mark.parametrize(
    ("runtime", "takes"), [("tflm 5a0c93d1", True), ("plan 1", False), ("tflmx 1", False)]
)
def test_the_runtimes_name_decides(runtime, takes):
    assert takes_tflite(runtime) is takes


def test_the_file_as_it_is_with_its_operators():
    model = read_model(ZOO / "cnn_int8.tflite")
    plan = plan_model(model)
    payload = tflite_payload(model, plan)
    assert payload.data == (ZOO / "cnn_int8.tflite").read_bytes()
    assert payload.sha256 == model.sha256
    assert payload.arena_bytes is None
    assert (payload.input, payload.output) == (plan.input, plan.output)
    assert [(o.index, o.name, o.kernel) for o in payload.operators] == [
        (i, o.name, o.name.lower()) for i, o in enumerate(model.operators)
    ]


@pytest.mark.parametrize(
    "data",
    [
        (ZOO / "cnn_int8.tflite").read_bytes(),
        (ZOO / "mlp_int8.tflite").read_bytes(),
        operator_models.convolution(1, stride=(2, 3), padding="VALID"),
        operator_models.convolution(2, depthwise=True, in_c=2, out_c=6, dilation=(2, 1)),
    ],
)
def test_macs_are_those_of_the_plan(data):
    model = parse_model(data, Path("model.tflite"))
    plan = plan_model(model)
    counted = [o.macs for o in tflite_payload(model, plan).operators if o.macs]
    assert counted == [o.macs for o in plan.operators if o.macs]
