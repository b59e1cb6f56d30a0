"""The zoo is what its documents say: hashes, operators, golden outputs, surviving compression."""

from __future__ import annotations

import hashlib
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest
import tflite

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
DIGITS = ROOT / "hilbench" / "zoo" / "digits"
SUITE = tomllib.loads((DIGITS / "suite.toml").read_text())
MODELS = {name: DIGITS / entry["model"] for name, entry in SUITE["variant"].items()}
INT8 = [name for name in MODELS if name.endswith("int8")]
GOLDEN = np.load(DIGITS / "golden_tflm.npz")
ALLOWED = {
    "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "AVERAGE_POOL_2D", "MAX_POOL_2D",
    "MEAN", "SOFTMAX", "RESHAPE", "QUANTIZE", "DEQUANTIZE",
}  # fmt: skip
OPERATOR_NAMES = {
    code: name for name, code in vars(tflite.BuiltinOperator).items() if isinstance(code, int)
}
# Compressed by tfmot; it leaves depthwise kernels alone. In both, output channels come first.
COMPRESSED = {"CONV_2D", "FULLY_CONNECTED"}

Int8 = npt.NDArray[np.int8]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read(path: Path) -> tuple[tflite.Model, tflite.SubGraph]:
    model = tflite.Model.GetRootAsModel(path.read_bytes(), 0)
    assert model.SubgraphsLength() == 1
    return model, model.Subgraphs(0)


def operator_name(model: tflite.Model, operator: tflite.Operator) -> str:
    return OPERATOR_NAMES[model.OperatorCodes(operator.OpcodeIndex()).BuiltinCode()]


def compressed_weights(path: Path) -> Iterator[tuple[str, Int8]]:
    """(where, int8 [output channels, ...]) for each tensor that pruning or clustering touched."""
    model, graph = read(path)
    for i in range(graph.OperatorsLength()):
        name = operator_name(model, graph.Operators(i))
        if name in COMPRESSED:
            tensor = graph.Tensors(graph.Operators(i).Inputs(1))
            data = model.Buffers(tensor.Buffer()).DataAsNumpy()
            yield (
                f"{path.name} operator {i} {name}",
                data.view(np.int8).reshape(tensor.ShapeAsNumpy()),
            )


def test_sums_match_every_binary_file() -> None:
    lines = (DIGITS / "SHA256SUMS").read_text().splitlines()
    listed = {name: digest for digest, name in (line.split("  ") for line in lines)}
    present = {p.name: sha256(p) for p in DIGITS.iterdir() if p.suffix in {".tflite", ".npz"}}
    assert listed == present


def test_suite_names_every_model_and_only_files_that_exist() -> None:
    assert {p.name for p in MODELS.values()} == {p.name for p in DIGITS.glob("*.tflite")}
    for entry in SUITE["vectors"].values():
        assert (DIGITS / entry["file"]).is_file()
    for entry in SUITE["variant"].values():
        assert entry["vectors"] in SUITE["vectors"]
        assert entry.get("parent", "fp32") in SUITE["variant"]


def test_vectors_are_stratified_pixels() -> None:
    vectors = np.load(DIGITS / "vectors.npz")
    x, y = vectors["x"], vectors["y"]
    assert (x.shape, x.dtype, y.shape, y.dtype) == ((450, 8, 8, 1), np.float32, (450,), np.uint8)
    assert set(np.unique(x * 16)) == set(range(17))
    counts = np.bincount(y)
    assert all(43 <= n <= 46 for n in counts), counts  # 1797 images / 10 classes / 4


def test_zoo_stays_small_enough_for_the_wheel() -> None:
    files = [p for p in DIGITS.parent.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    assert sum(p.stat().st_size for p in files) < 600_000


@pytest.mark.parametrize("variant", MODELS)
def test_model_has_batch_1_and_allowed_operators(variant: str) -> None:
    model, graph = read(MODELS[variant])
    operators = [graph.Operators(i) for i in range(graph.OperatorsLength())]
    assert {operator_name(model, op) for op in operators} <= ALLOWED
    source, sink = graph.Tensors(graph.Inputs(0)), graph.Tensors(graph.Outputs(0))
    assert source.ShapeAsNumpy().tolist() == [1, 8, 8, 1]
    assert sink.ShapeAsNumpy().tolist() == [1, 10]
    expected = tflite.TensorType.INT8 if variant in INT8 else tflite.TensorType.FLOAT32
    assert source.Type() == sink.Type() == expected
    # A free batch dimension hides in the signature while the shape shows 1.
    assert all(graph.Tensors(i).ShapeSignatureLength() == 0 for i in range(graph.TensorsLength()))


def test_zoo_uses_each_kind_of_layer() -> None:
    used = set()
    for path in MODELS.values():
        model, graph = read(path)
        used |= {operator_name(model, graph.Operators(i)) for i in range(graph.OperatorsLength())}
    assert used == ALLOWED - {"QUANTIZE", "DEQUANTIZE"}


def test_pruning_survived_conversion() -> None:
    for where, weights in compressed_weights(MODELS["pruned80_int8"]):
        assert (weights == 0).mean() >= 0.75, where


def test_dense_model_is_not_sparse() -> None:
    for where, weights in compressed_weights(MODELS["int8"]):
        assert (weights == 0).mean() < 0.05, where


def test_clustering_survived_conversion() -> None:
    for where, weights in compressed_weights(MODELS["clustered16_int8"]):
        assert max(len(np.unique(channel)) for channel in weights) <= 16, where


def test_pruned_file_is_as_large_as_dense() -> None:
    assert MODELS["pruned80_int8"].stat().st_size == MODELS["int8"].stat().st_size


def test_mlp_fits_an_uno() -> None:
    assert MODELS["mlp_int8"].stat().st_size < 4096


def test_golden_was_made_from_these_files() -> None:
    assert str(GOLDEN["vectors_sha256"]) == sha256(DIGITS / "vectors.npz")
    assert {k.removeprefix("outputs.") for k in GOLDEN.files if k.startswith("outputs.")} == set(
        INT8
    )
    for variant in INT8:
        assert str(GOLDEN[f"sha256.{variant}"]) == sha256(MODELS[variant])
        outputs = GOLDEN[f"outputs.{variant}"]
        assert (outputs.shape, outputs.dtype) == ((450, 10), np.int8)


@pytest.mark.parametrize("variant", INT8)
def test_tflm_gives_the_golden_outputs_again(variant: str) -> None:
    runtime = pytest.importorskip(
        "tflite_micro.python.tflite_micro.runtime",
        reason="the tflite-micro nightly that made the golden outputs is not installed",
    )
    interpreter = runtime.Interpreter.from_file(str(MODELS[variant]), arena_size=256 * 1024)
    quantisation = interpreter.get_input_details(0)["quantization_parameters"]
    scale, zero_point = np.float32(quantisation["scales"][0]), int(quantisation["zero_points"][0])
    x = np.load(DIGITS / "vectors.npz")["x"][:16]
    q = np.clip(np.rint(x / scale) + zero_point, -128, 127).astype(np.int8)
    for vector, expected in zip(q, GOLDEN[f"outputs.{variant}"][:16], strict=True):
        interpreter.set_input(vector[np.newaxis], 0)
        interpreter.invoke()
        np.testing.assert_array_equal(interpreter.get_output(0)[0], expected)


@pytest.mark.parametrize("variant", INT8)
def test_reference_kernels_of_litert_agree_with_golden(variant: str) -> None:
    """A second implementation: LiteRT's reference kernels give the same bytes as TFLM's."""
    litert = pytest.importorskip(
        "tflite_runtime.interpreter", reason="tflite-runtime has no wheel for this Python"
    )
    interpreter = litert.Interpreter(
        str(MODELS[variant]), experimental_op_resolver_type=litert.OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    source, sink = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    scale, zero_point = source["quantization"]
    x = np.load(DIGITS / "vectors.npz")["x"]
    q = np.clip(np.rint(x / np.float32(scale)) + zero_point, -128, 127).astype(np.int8)
    for vector, expected in zip(q, GOLDEN[f"outputs.{variant}"], strict=True):
        interpreter.set_tensor(source["index"], vector[np.newaxis])
        interpreter.invoke()
        np.testing.assert_array_equal(interpreter.get_tensor(sink["index"])[0], expected)


def test_document_states_the_sizes_of_these_files() -> None:
    rows = re.findall(
        r"^\| (\w+) \| [\d,]+ \| ([\d,]+) \|", (ROOT / "docs/zoo.md").read_text(), re.MULTILINE
    )
    stated = {f"{stem}.tflite": int(size.replace(",", "")) for stem, size in rows}
    assert stated == {p.name: p.stat().st_size for p in MODELS.values()}
