"""Plans: what the built-in runtime executes, made from a .tflite model.

check support → fuse activations, drop reshapes → lower each operator → plan memory → pack.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hilbench.errors import ModelError
from hilbench.models.planner import lower_plain, lower_weighted
from hilbench.models.planner.fuse import build_graph, drop_reshapes, fuse_activations
from hilbench.models.planner.layout import describe_fault
from hilbench.models.planner.lower import Constants, Context, Lowered
from hilbench.models.planner.memory import Strategy, best_fit
from hilbench.models.planner.pack import pack_plan, plan_arena
from hilbench.models.planner.support import SUPPORTED, check_model
from hilbench.models.tflite_file import TfliteModel
from hilbench.records import Plan

__all__ = ["KERNEL_SETS", "SUPPORTED", "describe_fault", "plan_model"]

Lowering = Callable[[Context], Lowered]

_PORTABLE: Final[dict[str, Lowering]] = {
    "ADD": lower_plain.add,
    "AVERAGE_POOL_2D": lower_plain.average_pool_2d,
    "CONV_2D": lower_weighted.conv_2d,
    "DEPTHWISE_CONV_2D": lower_weighted.depthwise_conv_2d,
    "DEQUANTIZE": lower_plain.dequantize,
    "FULLY_CONNECTED": lower_weighted.fully_connected,
    "MAX_POOL_2D": lower_plain.max_pool_2d,
    "MEAN": lower_plain.mean,
    "QUANTIZE": lower_plain.quantize,
    "RELU": lower_plain.relu,
    "RELU6": lower_plain.relu6,
    "SOFTMAX": lower_plain.softmax,
}
# A kernel set for another instruction set packs weights its own way: it is another table here.
KERNEL_SETS: Final[dict[str, dict[str, Lowering]]] = {"portable": _PORTABLE}


def plan_model(
    model: TfliteModel, kernels: str = "portable", memory_strategy: Strategy = best_fit
) -> Plan:
    """Plan a model for a kernel set.

    Args:
        model: from ``hilbench.models.tflite_file.read_model``.
        kernels: what the firmware states in HELLO.
        memory_strategy: places tensors in the arena.

    Raises:
        UnsupportedOperatorError: the kernel set cannot run an operator.
        ModelError: the model contradicts itself, or the kernel set does not exist.
    """
    if kernels not in KERNEL_SETS:
        raise ModelError(
            f"{model.path}: no plans for kernel set {kernels!r}; known: {', '.join(KERNEL_SETS)}"
        )
    check_model(model)
    graph = drop_reshapes(fuse_activations(build_graph(model)))
    constants = Constants()
    lowered = [
        KERNEL_SETS[kernels][node.operator.name](Context(graph, node, constants))
        for node in graph.nodes
    ]
    return pack_plan(graph, lowered, constants, plan_arena(graph, memory_strategy))
