"""Reads .tflite files (schema 3, file identifier TFL3) into plain records; nothing is executed.

The file is untrusted: whatever its bytes are, ``read_model`` returns or raises ModelError.
"""

from __future__ import annotations

import hashlib
import math
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import tflite
from numpy.typing import NDArray

from hilbench.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

IDENTIFIER: Final = b"TFL3"
SCHEMA_VERSION: Final = 3
MAX_TENSORS: Final = 65_536
MAX_OPERATORS: Final = 65_536
MAX_RANK: Final = 8
MAX_ELEMENTS: Final = 1 << 31
# A hostile file can make all its tables share one large vector: reading stops at this many bytes
# per byte of the file. Files that converters write stay below 2.
MAX_BYTES_PER_FILE_BYTE: Final = 16

# What flatbuffers accessors raise on bytes that are not a flatbuffer.
_CORRUPT: Final = (
    struct.error, IndexError, ValueError, TypeError, OverflowError, AttributeError, KeyError
)  # fmt: skip


def _names(enum: type) -> dict[int, str]:
    return {v: k for k, v in vars(enum).items() if not k.startswith("_") and isinstance(v, int)}


_OPERATOR_NAMES: Final = _names(tflite.BuiltinOperator)
_DTYPES: Final = {value: name.lower() for value, name in _names(tflite.TensorType).items()}
_ENUMS: Final = {
    "Padding": _names(tflite.Padding),
    "FusedActivationFunction": _names(tflite.ActivationFunctionType),
    "WeightsFormat": _names(tflite.FullyConnectedOptionsWeightsFormat),
}

# Operator -> (options table, its fields); other operators are read without their options.
_OPTIONS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "CONV_2D": (
        "Conv2DOptions",
        (
            "Padding",
            "StrideW",
            "StrideH",
            "DilationWFactor",
            "DilationHFactor",
            "FusedActivationFunction",
        ),
    ),
    "DEPTHWISE_CONV_2D": (
        "DepthwiseConv2DOptions",
        (
            "Padding",
            "StrideW",
            "StrideH",
            "DilationWFactor",
            "DilationHFactor",
            "DepthMultiplier",
            "FusedActivationFunction",
        ),
    ),
    "FULLY_CONNECTED": (
        "FullyConnectedOptions",
        ("FusedActivationFunction", "WeightsFormat", "KeepNumDims", "AsymmetricQuantizeInputs"),
    ),
    "ADD": ("AddOptions", ("FusedActivationFunction",)),
    "AVERAGE_POOL_2D": (
        "Pool2DOptions",
        ("Padding", "StrideW", "StrideH", "FilterWidth", "FilterHeight", "FusedActivationFunction"),
    ),
    "CONCATENATION": ("ConcatenationOptions", ("Axis", "FusedActivationFunction")),
    "LEAKY_RELU": ("LeakyReluOptions", ("Alpha",)),
    "MEAN": ("ReducerOptions", ("KeepDims",)),
    "MUL": ("MulOptions", ("FusedActivationFunction",)),
    "SOFTMAX": ("SoftmaxOptions", ("Beta",)),
    "STRIDED_SLICE": (
        "StridedSliceOptions",
        ("BeginMask", "EndMask", "EllipsisMask", "NewAxisMask", "ShrinkAxisMask", "Offset"),
    ),
    "SUB": ("SubOptions", ("FusedActivationFunction",)),
}
_OPTIONS["MAX_POOL_2D"] = _OPTIONS["AVERAGE_POOL_2D"]


@dataclass(frozen=True)
class TfliteTensor:
    """One tensor: ``scales`` and ``zero_points`` are empty, or per tensor [1], or per channel [n]."""

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str  # lower-case TFLite name: "int8", "float32", "int32", …
    scales: NDArray[np.float32]
    zero_points: NDArray[np.int64]
    quantised_dimension: int
    data: NDArray[Any] | None = field(repr=False)  # constants, of `shape`; else None

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Size in bytes, of a tensor with a numpy dtype."""
        return self.elements * int(np.dtype(self.dtype).itemsize)


@dataclass(frozen=True)
class TfliteOperator:
    """One operator; tensor numbers as in the file, -1 where an optional input is absent."""

    index: int
    name: str  # schema name: "CONV_2D"; "CUSTOM:<code>" for a custom operator
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict[str, Any]  # schema names: "StrideW"; enumerations by name: "SAME"


@dataclass(frozen=True)
class TfliteModel:
    """A .tflite file with one subgraph."""

    path: Path
    data: bytes = field(repr=False)
    sha256: str  # hex
    tensors: tuple[TfliteTensor, ...] = field(repr=False)
    operators: tuple[TfliteOperator, ...] = field(repr=False)
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def operator_name(code: int) -> str:
    """Return the schema's name of a builtin operator: "CONV_2D"."""
    return _OPERATOR_NAMES.get(code, f"builtin operator {code}")


def read_model(path: Path) -> TfliteModel:
    """Read a .tflite file.

    Raises:
        ModelError: absent, not a .tflite file, truncated, or corrupt; one line with the file's name.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    return parse_model(data, path)


def parse_model(data: bytes, path: Path) -> TfliteModel:
    """Read a model from memory; ``path`` names it in errors.

    Raises:
        ModelError: as read_model.
    """
    if len(data) < 8 or data[4:8] != IDENTIFIER:  # noqa: PLR2004
        raise ModelError(
            f"{path}: not a .tflite file ({len(data)} bytes, no {IDENTIFIER.decode()} at byte 4); "
            "convert the model to TensorFlow Lite first"
        )
    try:
        return _Reader(data, path).model()
    except _CORRUPT as error:
        raise _corrupt(path, f"{type(error).__name__} while reading") from error


def _corrupt(path: Path, what: str) -> ModelError:
    return ModelError(
        f"{path}: corrupt or truncated .tflite file ({what}); export or copy it again"
    )


class _Reader:
    """Walks the flatbuffer of one file with a bound on every count."""

    def __init__(self, data: bytes, path: Path) -> None:
        self._data = data
        self._path = path
        self._root = tflite.Model.GetRootAs(data, 0)
        self._budget = MAX_BYTES_PER_FILE_BYTE * len(data)

    def _require(self, condition: bool, what: str) -> None:
        if not condition:
            raise _corrupt(self._path, what)

    def _count(self, value: int, limit: int, what: str) -> int:
        # A vector of n entries takes at least 4n bytes of the file.
        self._require(0 <= value <= min(limit, len(self._data) // 4), f"{value} {what}")
        return value

    def _numbers(self, length: Callable[[], int], numbers: Callable[[], Any]) -> NDArray[Any]:
        count = length()
        if count == 0:
            return np.zeros(0, np.int64)
        self._require(0 <= count <= len(self._data), f"vector of {count} numbers")
        values = np.asarray(numbers())
        self._require(values.shape == (count,), "vector outside the file")
        self._spend(values.nbytes)
        return values

    def _text(self, text: bytes | None) -> str:
        self._spend(len(text or b""))
        return (text or b"").decode("utf-8", "replace")

    def _spend(self, read_bytes: int) -> None:
        self._budget -= read_bytes
        self._require(self._budget >= 0, "tables share vectors without end")

    def model(self) -> TfliteModel:
        root = self._root
        version = root.Version()
        self._require(version == SCHEMA_VERSION, f"schema version {version}, not {SCHEMA_VERSION}")
        subgraphs = root.SubgraphsLength()
        if subgraphs != 1:
            self._require(0 < subgraphs <= len(self._data) // 4, f"{subgraphs} subgraphs")
            raise ModelError(
                f"{self._path}: {subgraphs} subgraphs, hilbench reads models with 1; "
                "export without control flow and with one signature"
            )
        graph = root.Subgraphs(0)
        tensor_count = self._count(graph.TensorsLength(), MAX_TENSORS, "tensors")
        operator_count = self._count(graph.OperatorsLength(), MAX_OPERATORS, "operators")
        self._count(root.OperatorCodesLength(), MAX_OPERATORS, "operator codes")
        self._count(root.BuffersLength(), MAX_TENSORS, "buffers")
        tensors = tuple(self._tensor(graph.Tensors(i), i) for i in range(tensor_count))
        operators = tuple(
            self._operator(graph.Operators(i), i, tensor_count) for i in range(operator_count)
        )
        inputs = self._tensor_indices(graph.InputsLength, graph.InputsAsNumpy, tensor_count)
        outputs = self._tensor_indices(graph.OutputsLength, graph.OutputsAsNumpy, tensor_count)
        self._require(len(inputs) > 0 and len(outputs) > 0, "no input or no output")
        self._require(min(inputs + outputs) >= 0, "an input or output without a tensor")
        sha256 = hashlib.sha256(self._data).hexdigest()
        return TfliteModel(self._path, self._data, sha256, tensors, operators, inputs, outputs)

    def _tensor_indices(
        self, length: Callable[[], int], numbers: Callable[[], Any], tensor_count: int
    ) -> tuple[int, ...]:
        indices = tuple(int(i) for i in self._numbers(length, numbers))
        for index in indices:
            self._require(-1 <= index < tensor_count, f"tensor {index} of {tensor_count}")
        return indices

    def _tensor(self, tensor: Any, index: int) -> TfliteTensor:
        what = f"tensor {index}"
        shape = tuple(int(d) for d in self._numbers(tensor.ShapeLength, tensor.ShapeAsNumpy))
        self._require(len(shape) <= MAX_RANK, f"{what} has rank {len(shape)}")
        self._require(
            all(d > 0 for d in shape) and math.prod(shape) < MAX_ELEMENTS,
            f"{what} has shape {list(shape)}",
        )
        type_ = tensor.Type()
        self._require(type_ in _DTYPES, f"{what} has unknown type {type_}")
        dtype = _DTYPES[type_]
        scales, zero_points, dimension = self._quantisation(tensor.Quantization(), what)
        if tensor.Sparsity() is not None:
            raise ModelError(
                f"{self._path}: {what} is stored sparse, which hilbench does not read; "
                "export the model with dense tensors"
            )
        return TfliteTensor(
            index=index,
            name=self._text(tensor.Name()),
            shape=shape,
            dtype=dtype,
            scales=scales,
            zero_points=zero_points,
            quantised_dimension=dimension,
            data=self._constant(tensor.Buffer(), shape, dtype, what),
        )

    def _quantisation(
        self, parameters: Any, what: str
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], int]:
        none = np.zeros(0, np.float32), np.zeros(0, np.int64), 0
        if parameters is None:
            return none
        scales = self._numbers(parameters.ScaleLength, parameters.ScaleAsNumpy).astype(
            np.float32, copy=False
        )
        if scales.size == 0:
            return none
        zeros = self._numbers(parameters.ZeroPointLength, parameters.ZeroPointAsNumpy)
        self._require(
            bool(np.all(np.isfinite(scales)) and np.all(scales > 0)),
            f"{what} has a scale that is not a positive number",
        )
        if zeros.size != scales.size:
            self._require(zeros.size in {0, 1}, f"{what} has {zeros.size} zero points")
            zeros = np.full(scales.size, zeros[0] if zeros.size else 0)
        return scales, zeros.astype(np.int64), int(parameters.QuantizedDimension())

    def _constant(
        self, buffer_index: int, shape: tuple[int, ...], dtype: str, what: str
    ) -> NDArray[Any] | None:
        buffers = self._root.BuffersLength()
        self._require(0 <= buffer_index < max(buffers, 1), f"{what} has buffer {buffer_index}")
        if buffers == 0:
            return None
        buffer = self._root.Buffers(buffer_index)
        if buffer.Offset() > 1:  # data behind the flatbuffer, for files above 2 GB
            begin, size = int(buffer.Offset()), int(buffer.Size())
            self._require(begin + size <= len(self._data), f"{what} has data outside the file")
            raw = np.frombuffer(self._data, np.uint8, count=size, offset=begin)
        else:
            raw = np.asarray(buffer.DataAsNumpy() if buffer.DataLength() else (), np.uint8)
        if raw.size == 0:
            return None
        try:
            numpy_dtype = np.dtype(dtype)
        except TypeError:
            return None  # strings, int4, …: no kernel takes them
        if numpy_dtype.hasobject or numpy_dtype.itemsize == 0:
            return None
        needed = math.prod(shape) * numpy_dtype.itemsize
        self._require(raw.size == needed, f"{what} has {raw.size} bytes of data, not {needed}")
        # A view: several tensors may share a buffer.
        return np.frombuffer(raw, numpy_dtype.newbyteorder("<")).reshape(shape)

    def _operator(self, operator: Any, index: int, tensor_count: int) -> TfliteOperator:
        codes = self._root.OperatorCodesLength()
        opcode = operator.OpcodeIndex()
        self._require(0 <= opcode < codes, f"operator {index} has code {opcode} of {codes}")
        code = self._root.OperatorCodes(opcode)
        builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        name = _OPERATOR_NAMES.get(builtin)
        self._require(name is not None, f"operator {index} has unknown builtin code {builtin}")
        if name == "CUSTOM":
            name = "CUSTOM:" + self._text(code.CustomCode() or b"?")
        return TfliteOperator(
            index=index,
            name=str(name),
            inputs=self._tensor_indices(
                operator.InputsLength, operator.InputsAsNumpy, tensor_count
            ),
            outputs=self._tensor_indices(
                operator.OutputsLength, operator.OutputsAsNumpy, tensor_count
            ),
            options=self._options(operator, str(name), index),
        )

    def _options(self, operator: Any, name: str, index: int) -> dict[str, Any]:
        if name not in _OPTIONS:
            return {}
        table_name, fields = _OPTIONS[name]
        table = operator.BuiltinOptions()
        self._require(table is not None, f"operator {index} {name} has no options")
        expected = getattr(tflite.BuiltinOptions, table_name)
        actual = operator.BuiltinOptionsType()
        self._require(actual == expected, f"operator {index} has options of type {actual}")
        options = getattr(tflite, table_name)()
        options.Init(table.Bytes, table.Pos)
        values: dict[str, Any] = {}
        for name_ in fields:
            value = getattr(options, name_)()
            if name_ in _ENUMS:
                self._require(value in _ENUMS[name_], f"operator {index} has {name_} {value}")
                value = _ENUMS[name_][value]
            values[name_] = value
        return values
