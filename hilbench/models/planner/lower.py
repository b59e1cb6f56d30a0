"""From a node to its record: what lowering functions share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hilbench.errors import ModelError
from hilbench.models.planner.graph import Graph, Node, operator_text, option
from hilbench.models.planner.layout import ALIGNMENT, Number
from hilbench.models.planner.quantise import (
    activation_range_f32,
    activation_range_s8,
    quantise_multiplier,
)

if TYPE_CHECKING:
    from hilbench.models.tflite_file import TfliteTensor


class Constants:
    """The constants section while it grows; equal constants are stored once."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._known: dict[bytes, int] = {}

    def add(self, array: NDArray[Any]) -> int:
        """Store an array little endian and return its offset in the section."""
        raw = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        if raw not in self._known:
            self._data.extend(bytes(-len(self._data) % ALIGNMENT))
            self._known[raw] = len(self._data)
            self._data.extend(raw)
        return self._known[raw]

    def __len__(self) -> int:
        """Bytes of the section so far."""
        return len(self._data)

    @property
    def data(self) -> bytes:
        """The section."""
        return bytes(self._data)


@dataclass(frozen=True)
class Lowered:
    """A record without its arena offsets."""

    record: str  # a name of sets.records()
    values: dict[str, Number]
    macs: int = 0
    scratch_bytes: int = 0  # of the arena, for this operator alone; the record has a field scratch
    # One per activation input, in bytes: how far before the input's first byte the output must begin
    # so that the kernel never destroys what it has still to read. None: they must not overlap.
    distances: tuple[int | None, ...] = ()
    only_in_place: bool = False  # a distance of 0 is exact: at the input's first byte, or apart
    constant_bytes: int = 0  # that it added to the section; filled in by the planner


@dataclass(frozen=True)
class Context:
    """One node being lowered."""

    graph: Graph
    node: Node
    constants: Constants

    @property
    def input(self) -> TfliteTensor:
        """First input that is computed."""
        return self.graph.tensor(self.node.reads[0])

    @property
    def output(self) -> TfliteTensor:
        """The output, of the last fused operator."""
        return self.graph.tensor(self.node.output)

    @property
    def is_float(self) -> bool:
        """Whether the node computes in float32."""
        return self.input.dtype == "float32"

    @property
    def element_bytes(self) -> int:
        """Size of an element of the node's first input."""
        return 4 if self.is_float else 1

    def option(self, name: str) -> Any:
        """Return an option of the operator."""
        return option(self.graph.model, self.node.operator, name)

    def optional_input(self, position: int) -> TfliteTensor | None:
        """Return an input that may be absent."""
        inputs = self.node.inputs
        absent = position >= len(inputs) or inputs[position] < 0
        return None if absent else self.graph.tensor(inputs[position])

    def range(self) -> dict[str, Number]:
        """Return the fields of layout.RANGE."""
        minimum, maximum = activation_range_f32(self.node.activations)
        return {"minimum": minimum, "maximum": maximum}

    def quantised(self) -> dict[str, Number]:
        """Return the fields of layout.QUANTISED; the float side of a conversion has zero point 0."""
        source, target = self.input, self.output
        if target.dtype == "int8":
            zero_point = int(target.zero_points[0])
            minimum, maximum = activation_range_s8(
                self.node.activations, float(target.scales[0]), zero_point
            )
        else:
            zero_point, minimum, maximum = 0, -128, 127
        return {
            "input_zero_point": int(source.zero_points[0]) if source.dtype == "int8" else 0,
            "output_zero_point": zero_point,
            "minimum": minimum,
            "maximum": maximum,
        }

    def clamp(self) -> dict[str, Number]:
        """Return the range that the kernel's type needs."""
        return self.range() if self.is_float else self.quantised()

    def with_activation(self, name: str) -> Context:
        """Return this context with one more activation on the output."""
        activations = (name, *self.node.activations)
        return replace(self, node=replace(self.node, activations=activations))

    def multiplier(self, real: float) -> tuple[int, int]:
        """Return quantise_multiplier(real), or the model's error."""
        try:
            return quantise_multiplier(real)
        except ValueError as error:
            raise ModelError(f"{self.where}: {error}; quantise the model again") from error

    @property
    def where(self) -> str:
        """File and operator, for sentences."""
        return f"{self.graph.model.path}: {operator_text(self.graph.model, self.node.operator)}"


def scale_of(tensor: TfliteTensor) -> float:
    """Return the scale of an int8 tensor."""
    return float(tensor.scales[0])
