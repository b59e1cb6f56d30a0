"""hilbench diff: who is wrong is found, on the firmware in its process."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from builders import operator_models as models
from builders.random_graphs import random_graph
from hilbench.bench.diff import Compared, Difference, diff_model, random_vectors
from hilbench.cli import main
from hilbench.cli.commands.diff import story
from hilbench.config import load_boards
from hilbench.config.defaults import default_boards_path
from hilbench.models.oracle import HostReference, TflmOracle
from hilbench.models.planner import layout, plan_model
from hilbench.models.planner.prefixes import parameters, prefixes
from hilbench.models.planner.sets import records
from hilbench.models.tflite_file import parse_model, read_model
from hilbench.records import PlannedOperator

DIGITS = Path(__file__).resolve().parents[2] / "hilbench" / "zoo" / "digits"
CNN, FLOAT = DIGITS / "cnn_int8.tflite", DIGITS / "cnn_fp32.tflite"


@pytest.fixture(scope="module")
def native():
    return load_boards(default_boards_path())["native"]


def wrong_bias(victim: int, at: int):
    """A planner that adds 1000 to a bias of one operator."""

    def planner(model, kernels):
        plan = plan_model(model, kernels)
        if victim >= len(plan.operators):
            return plan
        data = bytearray(plan.data)
        header = layout.unpack(layout.HEADER.fields, plan.data, 0)
        position = int(header["operators_offset"])
        for operator in plan.operators[:victim]:
            position += records()[operator.kernel].bytes
        record = records()[plan.operators[victim].kernel]
        values = layout.unpack(record.flat, plan.data, position)
        bias = int(header["constants_offset"]) + int(values["bias"]) + 4 * at
        old = int.from_bytes(data[bias : bias + 4], "little", signed=True)
        data[bias : bias + 4] = (old + 1000).to_bytes(4, "little", signed=True)
        return replace(plan, data=bytes(data), sha256=hashlib.sha256(data).hexdigest())

    return planner


@pytest.mark.firmware
@pytest.mark.parametrize("victim", [0, 2])
def test_the_operator_with_a_wrong_constant_is_named(victim, native):
    model = read_model(CNN)
    x = np.load(DIGITS / "vectors.npz")["x"][:2]
    tensor = plan_model(model).input
    q = np.clip(np.rint(x / np.float32(tensor.scale)) + tensor.zero_point, -128, 127)
    found = diff_model(
        native,
        model,
        [q.astype(np.int8).reshape(2, *tensor.shape[1:])],
        planner=wrong_bias(victim, 3),
    )
    assert not found.whole.agrees
    assert found.first is not None
    assert found.first.operator.index == victim
    assert [c.agrees for c in found.operators] == [True] * victim + [False]
    assert found.first.lsb_max is not None
    assert found.first.lsb_max > 0
    assert found.first.first is not None
    assert found.first.first[-1] == 3  # the channel of the wrong bias


@pytest.mark.firmware
def test_a_model_that_agrees_is_run_once_unless_every_operator_is_asked_for(native):
    model = read_model(CNN)
    x = random_vectors((8, 8, 1), "int8", 2)
    assert diff_model(native, model, [x]).operators == []
    every = diff_model(native, model, [x], every=True)
    assert len(every.operators) == len(plan_model(model).operators)
    assert all(c.agrees for c in every.operators)


@pytest.mark.firmware
def test_every_branch_of_several_inputs_and_outputs(native):
    """Parts of SPLIT, tensors that are parts of another one's memory, and copies of outputs."""
    for seed in (1, 4):
        model = parse_model(random_graph(seed), Path(f"seed{seed}.tflite"))
        tensors = plan_model(model).inputs
        assert len(model.outputs) > 1
        found = diff_model(native, model, [random_vectors(t.shape, "int8", 2) for t in tensors])
        assert len(found.operators) > 1
        assert found.first is None


@pytest.mark.firmware
def test_float_models_are_compared_with_tensorflow_lite(native):
    found = diff_model(
        native, read_model(FLOAT), [random_vectors((8, 8, 1), "float32", 2)], every=True
    )
    assert found.oracle.startswith(("tflite-runtime", "ai-edge-litert"))
    assert all(c.agrees and c.lsb_max is None for c in found.operators)
    assert found.whole.relative_max is not None


@pytest.mark.firmware
def test_the_command(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["diff", str(CNN), "--board", "native", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["agrees"]
    assert told["first"] is None
    vectors = str(DIGITS / "vectors.npz")
    code = main(["diff", str(CNN), "--board", "native", "--vectors", vectors, "--count", "1"])
    out = capsys.readouterr().out
    assert code == 0
    assert out.startswith("cnn_int8.tflite on native (portable) against tflite-micro ")
    assert out.rstrip().endswith(", 1 vector: every output agrees")
    assert main(["diff", str(CNN), "--board", "native", "--count", "0"]) == 2
    assert "--count 0: give at least 1" in capsys.readouterr().err


def compared(index: int, differing: int, **changes) -> Compared:
    values = {
        "operator": PlannedOperator(index, "ADD+RELU", "add_s8", 0, (1, 4)),
        "parameters": {"count": 4, "shift": -19},
        "elements": 8,
        "differing": differing,
        "lsb_max": 2 if differing else 0,
        "relative_max": None,
        "first": (1, 0, 3) if differing else None,
        "got": 17.0,
        "expected": 15.0,
    }
    return Compared(**(values | changes))


def test_stories():
    agrees = Difference("m4", "portable dsp", "tflite-micro 1", 2, compared(2, 0))
    start = "m.tflite on m4 (portable dsp) against tflite-micro 1, 2 vectors: "
    assert story(agrees, "m.tflite") == [start + "every output agrees"]
    how = "3 of 8 values differ by up to 2 LSB; the first is vector 1 at [0, 3]: 17, expected 15"
    whole = replace(agrees, whole=compared(2, 3), operators=[compared(0, 0)])
    assert story(whole, "m.tflite") == [
        start + f"the whole model differs ({how}), each operator by itself agrees",
        "a kernel or the planner overwrites memory that is still needed: see hilbench plan",
    ]
    hidden = replace(agrees, operators=[compared(0, 0), compared(1, 3)])
    assert story(hidden, "m.tflite") == [
        start + f"first difference at operator 1 ADD+RELU, kernel add_s8: {how}",
        "its parameters: count 4, shift -19",
        "the whole model's output agrees all the same",
    ]
    floats = replace(agrees, whole=compared(0, 3, lsb_max=None, relative_max=0.0123))
    assert "differ by up to 0.012 of the largest; the first" in story(floats, "m.tflite")[0]


@pytest.mark.firmware
@pytest.mark.parametrize("make", [TflmOracle, HostReference])
def test_an_oracle_tells_what_add_was_given(make, tflm):
    """TensorFlow Lite adds in place; what it overwrites must still be told."""
    data = models.add_twice()
    model = parse_model(data, Path("add.tflite"))
    x = random_vectors((4, 5, 3), "int8", 1)
    tensors = [operator.outputs[0] for operator in model.operators]
    (values,) = make().tensors(data, [x], tensors)
    assert not np.array_equal(values[tensors[0]], values[tensors[1]])
    for cut_at, (tensor, cut) in zip(tensors, prefixes(model), strict=True):
        assert tensor == cut_at
        assert cut.outputs == (tensor,)


def test_parameters_leave_out_places():
    plan = plan_model(read_model(CNN))
    told = parameters(plan, 0)
    assert (told["kernel_h"], told["kernel_w"], told["in_c"]) == (3, 3, 1)
    assert not {"weights", "bias", "input", "output", "kind"} & set(told)
