"""Builds .tflite files of a few operators, without a training framework.

model = ModelBuilder()
x = model.tensor((1, 8, 8, 3), "int8", scale=0.02, zero_point=-5)
w = model.tensor((4, 3, 3, 3), "int8", scale=[0.1, 0.2, 0.3, 0.4], data=weights)
y = model.tensor((1, 6, 6, 4), "int8", scale=0.1)
model.operator("CONV_2D", [x, w], [y], "Conv2DOptions", StrideW=1, StrideH=1, Padding="VALID")
data = model.build([x], [y])
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
import tflite

_TYPES = {
    "float32": tflite.TensorType.FLOAT32,
    "int8": tflite.TensorType.INT8,
    "int16": tflite.TensorType.INT16,
    "int32": tflite.TensorType.INT32,
    "uint8": tflite.TensorType.UINT8,
}
_ENUMS = {
    "Padding": tflite.Padding,
    "FusedActivationFunction": tflite.ActivationFunctionType,
    "WeightsFormat": tflite.FullyConnectedOptionsWeightsFormat,
}


@dataclass
class _Tensor:
    shape: tuple[int, ...]
    dtype: str
    scales: list[float]
    zero_points: list[int]
    dimension: int
    data: np.ndarray | None
    name: str


@dataclass
class _Operator:
    name: str
    inputs: list[int]
    outputs: list[int]
    table: str | None
    options: dict[str, Any]


def _vector(b: flatbuffers.Builder, offsets: list[int]) -> int:
    b.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        b.PrependUOffsetTRelative(offset)
    return b.EndVector()


def _numbers(b: flatbuffers.Builder, values: Any, dtype: str) -> int:
    return b.CreateNumpyVector(np.asarray(values, dtype))


@dataclass
class ModelBuilder:
    tensors: list[_Tensor] = field(default_factory=list)
    operators: list[_Operator] = field(default_factory=list)

    def tensor(
        self,
        shape: tuple[int, ...],
        dtype: str,
        *,
        scale: float | list[float] | None = None,
        zero_point: int = 0,
        data: np.ndarray | None = None,
        dimension: int = 0,
    ) -> int:
        scales = [] if scale is None else list(np.atleast_1d(scale))
        zero_points = [zero_point] * len(scales)
        name = f"t{len(self.tensors)}"
        self.tensors.append(_Tensor(shape, dtype, scales, zero_points, dimension, data, name))
        return len(self.tensors) - 1

    def operator(
        self,
        name: str,
        inputs: list[int],
        outputs: list[int],
        table: str | None = None,
        **options: Any,
    ) -> None:
        self.operators.append(_Operator(name, inputs, outputs, table, options))

    def build(self, inputs: list[int], outputs: list[int], version: int = 3) -> bytes:
        b = flatbuffers.Builder(4096)
        buffers = [self._buffer(b, None)]
        tensors = []
        for t in self.tensors:
            buffer = 0
            if t.data is not None:
                buffer = len(buffers)
                buffers.append(self._buffer(b, np.asarray(t.data, t.dtype)))
            tensors.append(self._tensor(b, t, buffer))
        names = sorted({o.name for o in self.operators})
        vectors: dict[int, int] = {}  # lists that operators share, by identity
        operators = [self._operator(b, o, names.index(o.name), vectors) for o in self.operators]
        graph = self._graph(b, tensors, operators, inputs, outputs)
        codes = _vector(b, [self._code(b, name) for name in names])
        subgraphs, buffer_vector = _vector(b, [graph]), _vector(b, buffers)
        tflite.ModelStart(b)
        tflite.ModelAddVersion(b, version)
        tflite.ModelAddOperatorCodes(b, codes)
        tflite.ModelAddSubgraphs(b, subgraphs)
        tflite.ModelAddBuffers(b, buffer_vector)
        b.Finish(tflite.ModelEnd(b), file_identifier=b"TFL3")
        return bytes(b.Output())

    @staticmethod
    def _buffer(b: flatbuffers.Builder, data: np.ndarray | None) -> int:
        vector = None
        if data is not None:
            # The reader of the real runtime takes pointers into the file: align to 16.
            raw = np.frombuffer(data.tobytes(), np.uint8)
            b.StartVector(1, raw.size, 16)
            b.head -= raw.size
            b.Bytes[b.head : b.head + raw.size] = raw.tobytes()
            vector = b.EndVector()
        tflite.BufferStart(b)
        if vector is not None:
            tflite.BufferAddData(b, vector)
        return tflite.BufferEnd(b)

    @staticmethod
    def _tensor(b: flatbuffers.Builder, t: _Tensor, buffer: int) -> int:
        quantisation = None
        if t.scales:
            scales = _numbers(b, t.scales, "float32")
            zero_points = _numbers(b, t.zero_points, "int64")
            tflite.QuantizationParametersStart(b)
            tflite.QuantizationParametersAddScale(b, scales)
            tflite.QuantizationParametersAddZeroPoint(b, zero_points)
            tflite.QuantizationParametersAddQuantizedDimension(b, t.dimension)
            quantisation = tflite.QuantizationParametersEnd(b)
        shape, name = _numbers(b, t.shape, "int32"), b.CreateString(t.name)
        tflite.TensorStart(b)
        tflite.TensorAddShape(b, shape)
        tflite.TensorAddType(b, _TYPES[t.dtype])
        tflite.TensorAddBuffer(b, buffer)
        tflite.TensorAddName(b, name)
        if quantisation is not None:
            tflite.TensorAddQuantization(b, quantisation)
        return tflite.TensorEnd(b)

    @staticmethod
    def _operator(b: flatbuffers.Builder, o: _Operator, code: int, vectors: dict[int, int]) -> int:
        def shared(indices: list[int]) -> int:
            if id(indices) not in vectors:
                vectors[id(indices)] = _numbers(b, indices, "int32")
            return vectors[id(indices)]

        options = None
        if o.table is not None:
            getattr(tflite, f"{o.table}Start")(b)
            for key, value in o.options.items():
                number = getattr(_ENUMS[key], value) if isinstance(value, str) else value
                getattr(tflite, f"{o.table}Add{key}")(b, number)
            options = getattr(tflite, f"{o.table}End")(b)
        inputs, outputs = shared(o.inputs), shared(o.outputs)
        tflite.OperatorStart(b)
        tflite.OperatorAddOpcodeIndex(b, code)
        tflite.OperatorAddInputs(b, inputs)
        tflite.OperatorAddOutputs(b, outputs)
        if options is not None:
            tflite.OperatorAddBuiltinOptionsType(b, getattr(tflite.BuiltinOptions, o.table))
            tflite.OperatorAddBuiltinOptions(b, options)
        return tflite.OperatorEnd(b)

    @staticmethod
    def _graph(
        b: flatbuffers.Builder,
        tensors: list[int],
        operators: list[int],
        inputs: list[int],
        outputs: list[int],
    ) -> int:
        tensor_vector, operator_vector = _vector(b, tensors), _vector(b, operators)
        input_vector, output_vector = _numbers(b, inputs, "int32"), _numbers(b, outputs, "int32")
        tflite.SubGraphStart(b)
        tflite.SubGraphAddTensors(b, tensor_vector)
        tflite.SubGraphAddInputs(b, input_vector)
        tflite.SubGraphAddOutputs(b, output_vector)
        tflite.SubGraphAddOperators(b, operator_vector)
        return tflite.SubGraphEnd(b)

    @staticmethod
    def _code(b: flatbuffers.Builder, name: str) -> int:
        code = getattr(tflite.BuiltinOperator, name)
        tflite.OperatorCodeStart(b)
        tflite.OperatorCodeAddDeprecatedBuiltinCode(b, min(code, 127))
        tflite.OperatorCodeAddBuiltinCode(b, code)
        tflite.OperatorCodeAddVersion(b, 1)
        return tflite.OperatorCodeEnd(b)
