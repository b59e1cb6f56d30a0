"""The whole path on emulated boards against independent truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import hilbench
from hilbench.bench import run_suite
from hilbench.runs import sessions_frame
from tests.builders.tflite_builder import ModelBuilder
from tests.end_to_end.conftest import ZOO, need_image

CORTEX_M = ("m3", "m4", "m4-flash", "m7", "m33", "m55")


def _only(suite, *names, **changes):
    chosen = tuple(v for v in suite.variants if v.name in names)
    chosen = tuple(v if v.parent in names else replace(v, parent=None) for v in chosen)
    return replace(suite, variants=chosen, **changes)


@pytest.mark.firmware
def test_native_outputs_equal_tflm_for_every_variant_and_every_vector(boards, zoo, tmp_path):
    need_image("posix")
    outcome = run_suite(
        replace(zoo, sessions=1, iterations=3), [boards["native"]], results=tmp_path
    )
    assert outcome.errors == ()
    frame = hilbench.load(outcome.folder).set_index("variant")
    golden = np.load(ZOO / "golden_tflm.npz")
    labels = np.load(ZOO / "vectors.npz")["y"]
    int8 = [v.name for v in zoo.variants if v.name != "fp32"]
    assert (frame.loc[int8, "agreement_tflm"] == 1.0).all()
    for name in int8:
        expected = float((golden[f"outputs.{name}"].argmax(axis=1) == labels).mean())
        assert frame.loc[name, "accuracy"] == pytest.approx(expected)
    assert frame.loc["fp32", "accuracy"] == frame.loc["fp32", "reference_accuracy"]


@pytest.mark.qemu
@pytest.mark.parametrize("board", CORTEX_M)
def test_cortex_m_outputs_are_right(board, boards, zoo, tmp_path):
    need_image(boards[board].firmware)
    suite = _only(zoo, "fp32", "int8", "student_int8", sessions=1, iterations=2)
    outcome = run_suite(suite, [boards[board]], results=tmp_path, limit=16)
    assert outcome.errors == ()
    frame = hilbench.load(outcome.folder).set_index("variant")
    assert frame.loc["int8", "agreement_tflm"] == 1.0
    assert frame.loc["student_int8", "agreement_tflm"] == 1.0
    assert (frame["emulated"]).all()
    assert (frame["time_base"] == "instructions").all()
    assert frame["latency_us"].isna().all()  # instructions are never microseconds of a chip


@pytest.mark.qemu
@pytest.mark.parametrize("board", ["m3", "m4", "m33", "m55"])
def test_two_runs_in_fresh_emulators_give_identical_ticks(board, boards, zoo, tmp_path):
    need_image(boards[board].firmware)
    suite = _only(zoo, "int8", "fp32", sessions=2, iterations=5)
    seen = []
    for attempt in ("a", "b"):
        outcome = run_suite(suite, [boards[board]], results=tmp_path / attempt, limit=8)
        assert outcome.errors == ()
        arrays = {}
        for path in sorted((outcome.folder / "outputs").rglob("*.npz")):
            with np.load(path) as archive:
                arrays[path.name] = {k: archive[k].copy() for k in archive.files}
        seen.append(arrays)
    assert seen[0].keys() == seen[1].keys()
    assert len(seen[0]) == 4
    for name, arrays in seen[0].items():
        for key, values in arrays.items():
            np.testing.assert_array_equal(values, seen[1][name][key], err_msg=f"{name} {key}")
        assert arrays["ticks"].size == 5
        assert arrays["ticks"].min() > 0


@pytest.mark.firmware
def test_measure_returns_a_row_and_raises_instead_of_inventing_one(boards, tmp_path):
    need_image("posix")
    vectors = np.load(ZOO / "vectors.npz")
    x, y = vectors["x"][:20], vectors["y"][:20]
    row = hilbench.measure(ZOO / "mlp_int8.tflite", boards["native"], (x, y), sessions=2)
    assert row["board"] == "native"
    assert row["vectors_n"] == 20
    assert row["latency_us"] > 0
    assert row["accuracy_low"] <= row["accuracy"] <= row["accuracy_high"]
    assert row["energy_source"] == "synthetic"
    with pytest.raises(hilbench.errors.VectorError, match="shape"):
        hilbench.measure(ZOO / "mlp_int8.tflite", boards["native"], (x[:, :4], y))


@pytest.mark.firmware
def test_sessions_are_the_rows_below_the_cell(boards, zoo, tmp_path):
    need_image("posix")
    suite = _only(zoo, "mlp_int8", sessions=3, iterations=4)
    outcome = run_suite(suite, [boards["native"]], results=tmp_path, limit=5)
    sessions = sessions_frame(outcome.folder)
    assert list(sessions["session"]) == [1, 2, 3]
    cell = hilbench.load(outcome.folder).iloc[0]
    assert cell["latency_median"] == pytest.approx(sessions["latency_median"].median())


def _float_in_float_out(path):
    """QUANTIZE, FULLY_CONNECTED in int8, DEQUANTIZE: float outside, int8 inside."""
    rng = np.random.default_rng(5)
    model = ModelBuilder()
    x = model.tensor((1, 40), "float32")
    q = model.tensor((1, 40), "int8", scale=0.02, zero_point=3)
    w = model.tensor(
        (10, 40), "int8", scale=0.013, data=rng.integers(-127, 128, (10, 40)).astype(np.int8)
    )
    b = model.tensor(
        (10,), "int32", scale=0.02 * 0.013, data=rng.integers(-500, 500, 10).astype(np.int32)
    )
    z = model.tensor((1, 10), "int8", scale=0.09, zero_point=-4)
    y = model.tensor((1, 10), "float32")
    model.operator("QUANTIZE", [x], [q])
    model.operator(
        "FULLY_CONNECTED", [q, w, b], [z], "FullyConnectedOptions", FusedActivationFunction="NONE"
    )
    model.operator("DEQUANTIZE", [z], [y])
    path.write_bytes(model.build([x], [y]))


@pytest.mark.firmware
def test_a_model_that_is_int8_only_inside_is_compared_with_tflm(boards, tmp_path):
    need_image("posix")
    pytest.importorskip("tflite_micro", reason="tflite-micro is in the dev group")
    _float_in_float_out(tmp_path / "m.tflite")
    rng = np.random.default_rng(6)
    x = rng.uniform(-2, 2, (16, 40)).astype(np.float32)
    row = hilbench.measure(
        tmp_path / "m.tflite", boards["native"], (x, None), metric="none", sessions=1
    )
    assert row["agreement_tflm"] == 1.0
    assert row["tflm"].startswith("tflite_micro") or row["tflm"].startswith("tflite-micro")


@pytest.mark.firmware
def test_measure_takes_a_frame_of_vectors(boards):
    need_image("posix")
    vectors = np.load(ZOO / "vectors.npz")
    x, y = vectors["x"][:20], vectors["y"][:20]
    flat = pd.DataFrame(x.reshape(len(x), -1))
    model, options = ZOO / "mlp_int8.tflite", {"sessions": 1, "iterations": 1}
    of_frame = hilbench.measure(model, boards["native"], (flat, pd.Series(y)), **options)
    of_arrays = hilbench.measure(model, boards["native"], (x, y), **options)
    same = ["accuracy", "agreement_reference", "lsb_histogram", "vectors_n"]
    assert of_frame[same].tolist() == of_arrays[same].tolist()
    assert of_frame["vectors_n"] == 20


@pytest.mark.firmware
def test_several_inputs_and_outputs(boards, tmp_path):
    need_image("posix")
    model = ModelBuilder()
    a, b, total, part = (
        model.tensor(shape, "int8", scale=0.1)
        for shape in ((1, 4, 5), (1, 1, 5), (1, 4, 5), (1, 4, 1))
    )
    cuts = [model.tensor((3,), "int32", data=np.array(n, np.int32))
            for n in ([0, 0, 2], [1, 4, 3], [1, 1, 1])]  # fmt: skip
    model.operator("ADD", [a, b], [total], "AddOptions")
    model.operator("STRIDED_SLICE", [a, *cuts], [part], "StridedSliceOptions")
    file, vectors = tmp_path / "several.tflite", tmp_path / "v.npz"
    file.write_bytes(model.build([a, b], [total, part]))
    rng = np.random.default_rng(1)
    x = {
        f"x{i}": rng.integers(-128, 128, (9, *s)).astype(np.int8)
        for i, s in enumerate([(4, 5), (1, 5)])
    }
    np.savez(vectors, **x)
    row = hilbench.measure(file, boards["native"], vectors, metric="none", sessions=1)
    assert row["agreement_tflm"] == row["agreement_reference"] == 1.0
    np.savez(vectors, **x, y=np.zeros(9, np.int64))
    with pytest.raises(hilbench.errors.VectorError) as caught:
        hilbench.measure(file, boards["native"], vectors, sessions=1)
    assert str(caught.value) == (
        "vectors 'v': metric 'top1' judges one output, several.tflite has 2; set metric = \"none\""
    )
