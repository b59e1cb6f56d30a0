"""What the planner works on: nodes over the tensors of a model, and sentences about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hilbench.errors import ModelError
from hilbench.models.tflite_file import TfliteModel, TfliteOperator, TfliteTensor


@dataclass(frozen=True)
class Node:
    """One operator that will run, with the activations fused into it."""

    operator: TfliteOperator
    inputs: tuple[int, ...]
    output: int
    activations: tuple[str, ...]  # without NONE

    @property
    def label(self) -> str:
        """Name for reports: "CONV_2D+RELU"."""
        return "+".join((self.operator.name, *self.activations))


@dataclass(frozen=True)
class Graph:
    """Nodes in order of execution; ``aliases`` maps a tensor to the one whose memory it shares."""

    model: TfliteModel
    nodes: tuple[Node, ...]
    aliases: dict[int, int]

    def tensor(self, index: int) -> TfliteTensor:
        """Return a tensor by its number in the file."""
        return self.model.tensors[index]

    def root(self, index: int) -> int:
        """Return the tensor that owns this tensor's memory."""
        while index in self.aliases:
            index = self.aliases[index]
        return index


def tensor_text(tensor: TfliteTensor) -> str:
    """Return "int8[1,8,8,1]"."""
    return f"{tensor.dtype}[{','.join(map(str, tensor.shape))}]"


def operator_text(model: TfliteModel, operator: TfliteOperator) -> str:
    """Return "operator 3 ADD(int8[1,4], int8[1,4]) -> int8[1,4]"."""
    inputs = ", ".join(tensor_text(model.tensors[i]) if i >= 0 else "none" for i in operator.inputs)
    outputs = ", ".join(tensor_text(model.tensors[i]) for i in operator.outputs if i >= 0)
    return f"operator {operator.index} {operator.name}({inputs}) -> {outputs}"


def contradiction(model: TfliteModel, operator: TfliteOperator, what: str) -> ModelError:
    """Return the error for an operator whose tensors contradict each other."""
    return ModelError(
        f"{model.path}: {operator_text(model, operator)}: {what}; export the model again"
    )


def option(model: TfliteModel, operator: TfliteOperator, name: str) -> Any:
    """Return an option.

    Raises:
        ModelError: the operator does not have it.
    """
    if name not in operator.options:
        raise contradiction(model, operator, f"option {name} is missing")
    return operator.options[name]
