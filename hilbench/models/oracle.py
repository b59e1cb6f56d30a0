"""Host oracles: what a model should answer, computed on this machine.

``HostReference`` (TensorFlow Lite) is the accuracy reference; its int8 results depend on version and
resolver by several LSB, so it names itself. ``TflmOracle`` (TensorFlow Lite Micro) is the bit-exact
truth for int8. Native libraries are imported when an oracle is made.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from hilbench.errors import ModelError, ToolMissingError, VectorError
from hilbench.models.tflite_edit import with_outputs
from hilbench.models.tflite_file import TfliteModel, parse_model

TFLM_VERSION: Final = "0.dev20261023182759"  # nightlies vanish from the registry: see golden files
_TFLM_MIN_ARENA_BYTES: Final = 4 << 20
_WEIGHTED: Final = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_REFERENCES: Final = (
    ("tflite-runtime", "tflite_runtime.interpreter"),
    ("ai-edge-litert", "ai_edge_litert.interpreter"),
)


Values = dict[int, NDArray[np.generic]]  # number of a tensor in the file -> its value
Vectors = Sequence[NDArray[np.generic]]


class Oracle(Protocol):
    """Computes outputs of a model on the host."""

    name: str  # package and version

    def tensors(self, model: bytes, inputs: Vectors, indices: Sequence[int]) -> Iterator[Values]:
        """Yield for each vector what the model computes on the way, by number of the tensor."""

    def run(self, model: Path | bytes, x: NDArray[np.generic]) -> NDArray[np.generic]:
        """Return outputs [n, *output shape] for inputs [n, *input shape] of the model's dtype.

        Both shapes are without the model's batch dimension of 1. The model has one input and one
        output.
        """

    def run_many(self, model: Path | bytes, inputs: Vectors) -> tuple[NDArray[np.generic], ...]:
        """Return one array per output for one array per input, each as ``run`` has it."""


class HostReference:
    """TensorFlow Lite with its default resolver, from whichever package is installed.

    Raises:
        ToolMissingError: neither tflite-runtime nor ai-edge-litert is installed.
    """

    def __init__(self) -> None:
        for package, module in _REFERENCES:
            try:
                found = importlib.import_module(module)
            except ImportError:
                continue
            self._interpreter: Any = found.Interpreter
            self._builtin: Any = found.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
            self.name = f"{package} {version(package)}"
            return
        raise ToolMissingError(
            "no TensorFlow Lite on this host; install it with: pip install ai-edge-litert"
            " (Python 3.11 and older: pip install tflite-runtime)"
        )

    def _resolver(self, content: bytes) -> dict[str, Any]:
        """Newer ones hand dynamic range to XNNPACK, which quantises inputs otherwise than TFLite."""
        try:
            hybrid = has_dynamic_range(parse_model(content, Path("model")))
        except ModelError:
            hybrid = False  # the interpreter says what it thinks of it
        return {"experimental_op_resolver_type": self._builtin} if hybrid else {}

    def run(self, model: Path | bytes, x: NDArray[np.generic]) -> NDArray[np.generic]:
        """See Oracle.run; raises as run_many."""
        return _only(self.run_many(model, [x]))

    def run_many(self, model: Path | bytes, inputs: Vectors) -> tuple[NDArray[np.generic], ...]:
        """See Oracle.run_many.

        Raises:
            ModelError: TensorFlow Lite refuses the model.
            VectorError: shape or dtype of ``x`` is not the model's.
        """
        content = _content(model)
        _require_biases(self.name, model, content)
        try:
            interpreter = self._interpreter(
                model_content=content, num_threads=1, **self._resolver(content)
            )
            interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise _refused(self.name, model, error) from error
        sources, targets = interpreter.get_input_details(), interpreter.get_output_details()
        outputs: list[list[NDArray[np.generic]]] = [[] for _ in targets]
        for vector in zip(*_all_vectors(inputs, sources), strict=True):
            for source, values in zip(sources, vector, strict=True):
                interpreter.set_tensor(source["index"], values)
            interpreter.invoke()
            for found, target in zip(outputs, targets, strict=True):
                found.append(interpreter.get_tensor(target["index"]).copy())
        return _stacks(outputs, targets)

    def tensors(self, model: bytes, inputs: Vectors, indices: Sequence[int]) -> Iterator[Values]:
        """See Oracle.tensors.

        Raises:
            ModelError, VectorError: as run().
        """
        _require_biases(self.name, model, model)
        try:
            interpreter = self._interpreter(
                model_content=with_outputs(model, indices), num_threads=1, **self._resolver(model)
            )
            interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise _refused(self.name, model, error) from error
        sources = interpreter.get_input_details()
        for vector in zip(*_all_vectors(inputs, sources), strict=True):
            for source, values in zip(sources, vector, strict=True):
                interpreter.set_tensor(source["index"], values)
            interpreter.invoke()
            yield {i: np.array(interpreter.get_tensor(i)) for i in indices}


class TflmOracle:
    """TensorFlow Lite Micro's reference kernels.

    Raises:
        ToolMissingError: the tflite-micro package is not installed.
    """

    def __init__(self) -> None:
        try:
            runtime = importlib.import_module("tflite_micro.python.tflite_micro.runtime")
        except ImportError as error:
            raise ToolMissingError(
                "TensorFlow Lite Micro is not installed; "
                f"install it with: pip install tflite-micro=={TFLM_VERSION}"
            ) from error
        self._interpreter: Any = runtime.Interpreter
        self.name = f"tflite-micro {version('tflite-micro')}"

    def run(self, model: Path | bytes, x: NDArray[np.generic]) -> NDArray[np.generic]:
        """See Oracle.run; raises as run_many."""
        return _only(self.run_many(model, [x]))

    def run_many(self, model: Path | bytes, inputs: Vectors) -> tuple[NDArray[np.generic], ...]:
        """See Oracle.run_many.

        Raises:
            ModelError: TensorFlow Lite Micro refuses the model.
            VectorError: shape or dtype of ``x`` is not the model's.
        """
        content = _content(model)
        try:
            interpreter = self._interpreter.from_bytes(
                content, arena_size=max(_TFLM_MIN_ARENA_BYTES, 10 * len(content))
            )
        except (RuntimeError, ValueError) as error:
            raise _refused(self.name, model, error) from error
        graph = parse_model(content, Path("model"))
        sources = [interpreter.get_input_details(i) for i in range(len(graph.inputs))]
        targets = [interpreter.get_output_details(i) for i in range(len(graph.outputs))]
        outputs: list[list[NDArray[np.generic]]] = [[] for _ in targets]
        for vector in zip(*_all_vectors(inputs, sources), strict=True):
            for i, values in enumerate(vector):
                interpreter.set_input(values, i)  # each time: an inference may destroy it
            interpreter.invoke()
            for i, found in enumerate(outputs):
                found.append(np.array(interpreter.get_output(i)))
        return _stacks(outputs, targets)

    def tensors(self, model: bytes, inputs: Vectors, indices: Sequence[int]) -> Iterator[Values]:
        """See Oracle.tensors.

        Raises:
            ModelError, VectorError: as run().
        """
        try:
            interpreter = self._interpreter.from_bytes(
                with_outputs(model, indices), arena_size=max(_TFLM_MIN_ARENA_BYTES, 10 * len(model))
            )
        except (RuntimeError, ValueError) as error:
            raise _refused(self.name, model, error) from error
        sources = [interpreter.get_input_details(i) for i in range(len(inputs))]
        for vector in zip(*_all_vectors(inputs, sources), strict=True):
            for i, values in enumerate(vector):
                interpreter.set_input(values, i)
            interpreter.invoke()
            yield {i: np.array(interpreter.get_output(k)) for k, i in enumerate(indices)}


def lsb_histogram(a: NDArray[np.generic], b: NDArray[np.generic]) -> dict[int, int]:
    """Return how many elements of two integer arrays differ by how much: {|a - b|: count}.

    Raises:
        ValueError: the shapes differ, or the arrays are not of integers.
    """
    if a.shape != b.shape or a.dtype.kind not in "iu" or b.dtype.kind not in "iu":
        raise ValueError(f"cannot compare {a.dtype}{a.shape} with {b.dtype}{b.shape} by LSB")
    distances, counts = np.unique(
        np.abs(a.astype(np.int64) - b.astype(np.int64)), return_counts=True
    )
    return {int(d): int(c) for d, c in zip(distances, counts, strict=True)}


def _content(model: Path | bytes) -> bytes:
    if isinstance(model, bytes):
        return model
    try:
        return model.read_bytes()
    except OSError as error:
        raise ModelError(f"{model}: cannot be read ({error.strerror}); check the path") from error


def _refused(oracle: str, model: Path | bytes, error: Exception) -> ModelError:
    where = "model" if isinstance(model, bytes) else str(model)
    reason = " ".join(str(error).split())
    return ModelError(f"{where}: {oracle} refuses it ({reason}); check that it is a .tflite file")


def has_dynamic_range(model: TfliteModel) -> bool:
    """Say whether an operator has float32 activations and int8 weights."""
    return any(
        model.tensors[o.inputs[0]].dtype == "float32" and model.tensors[o.inputs[1]].dtype == "int8"
        for o in model.operators
        if o.name in _WEIGHTED and len(o.inputs) > 1 and min(o.inputs[:2]) >= 0
    )


def _require_biases(oracle: str, model: Path | bytes, content: bytes) -> None:
    """TensorFlow Lite takes the process with it where a depthwise convolution has no bias."""
    where = Path("model") if isinstance(model, bytes) else model
    try:
        operators = parse_model(content, where).operators
    except ModelError:
        return  # the interpreter says what it thinks of it
    for operator in operators:
        if operator.name == "DEPTHWISE_CONV_2D" and min((*operator.inputs, -1)[2:3], default=0) < 0:
            raise ModelError(
                f"{where}: {oracle} crashes on operator {operator.index} DEPTHWISE_CONV_2D without "
                "a bias; export the model with biases (zeros do)"
            )


def _only(outputs: tuple[NDArray[np.generic], ...]) -> NDArray[np.generic]:
    if len(outputs) != 1:
        raise VectorError(f"the model has {len(outputs)} outputs, must have 1; use run_many")
    return outputs[0]


def _all_vectors(
    inputs: Vectors, details: Sequence[Mapping[str, Any]]
) -> list[NDArray[np.generic]]:
    if len(inputs) != len(details):
        raise VectorError(
            f"vectors for {len(inputs)} inputs, the model has {len(details)}; give one array each"
        )
    return [
        _vectors(x, tuple(int(d) for d in detail["shape"]), detail["dtype"])
        for x, detail in zip(inputs, details, strict=True)
    ]


def _stacks(
    outputs: Sequence[list[NDArray[np.generic]]], details: Sequence[Mapping[str, Any]]
) -> tuple[NDArray[np.generic], ...]:
    return tuple(
        _stack(found, tuple(detail["shape"]), detail["dtype"])
        for found, detail in zip(outputs, details, strict=True)
    )


def _vectors(x: NDArray[np.generic], shape: tuple[int, ...], dtype: Any) -> NDArray[np.generic]:
    """Return x as [n, *shape with batch 1]."""
    inner = shape[1:] if shape[:1] == (1,) else shape
    if x.dtype != np.dtype(dtype) or x.shape[1:] not in {shape, inner} or x.ndim == 0:
        raise VectorError(
            f"vectors are {x.dtype}{list(x.shape)}, the model takes "
            f"{np.dtype(dtype)}[n{''.join(f',{d}' for d in inner)}]; convert the vectors"
        )
    return x.reshape((x.shape[0], *shape))


def _stack(
    outputs: list[NDArray[np.generic]], shape: tuple[int, ...], dtype: Any
) -> NDArray[np.generic]:
    inner = shape[1:] if shape[:1] == (1,) else shape
    return np.array(outputs, dtype).reshape((len(outputs), *(int(d) for d in inner)))
