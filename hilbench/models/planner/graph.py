"""What the planner works on: nodes over the tensors of a model, and sentences about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hilbench.errors import ModelError
from hilbench.models.tflite_file import TfliteModel, TfliteOperator, TfliteTensor


@dataclass(frozen=True)
class Node:
    """One record of the plan: an operator with the activations fused into it, or a part of one."""

    operator: TfliteOperator
    inputs: tuple[int, ...]  # of the operator, constants included
    output: int
    activations: tuple[str, ...]  # without NONE
    reads: tuple[int, ...]  # the inputs that are computed, in their order
    part: int = 0  # which output of SPLIT, which input of CONCATENATION
    padding: tuple[int, int, int, int] | None = None  # fused: top, bottom, left, right

    @property
    def label(self) -> str:
        """Name for reports: "CONV_2D+RELU"."""
        before = () if self.padding is None else ("PAD",)
        return "+".join((*before, self.operator.name, *self.activations))


@dataclass(frozen=True)
class Graph:
    """Nodes in order of execution.

    ``aliases`` maps a tensor to the one whose memory it shares, and how many bytes into it.
    ``blocks`` are owners of memory that the file does not have, and their bytes: several inputs of
    the model, or several outputs, lie in one block.
    """

    model: TfliteModel
    nodes: tuple[Node, ...]
    aliases: dict[int, tuple[int, int]] = field(default_factory=dict)
    blocks: dict[int, int] = field(default_factory=dict)

    def tensor(self, index: int) -> TfliteTensor:
        """Return a tensor by its number in the file."""
        return self.model.tensors[index]

    def root(self, index: int) -> int:
        """Return the tensor that owns this tensor's memory."""
        return self.place(index)[0]

    def place(self, index: int) -> tuple[int, int]:
        """Return the owner of a tensor's memory, and where in it the tensor begins, in bytes."""
        offset = 0
        while index in self.aliases:
            index, further = self.aliases[index]
            offset += further
        return index, offset

    def owner_bytes(self, owner: int) -> int:
        """Return the bytes of what owns memory: a tensor or a block."""
        return self.blocks[owner] if owner in self.blocks else self.tensor(owner).bytes

    def is_whole(self, index: int) -> bool:
        """Say whether a tensor is all of the memory that its owner has."""
        owner, offset = self.place(index)
        return offset == 0 and self.owner_bytes(owner) == self.tensor(index).bytes


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
