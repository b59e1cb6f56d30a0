"""Plans: what the built-in runtime executes, made from a .tflite model.

check support → fuse → lower each operator → plan memory → pack.
"""

from __future__ import annotations

from dataclasses import replace

from hilbench.errors import ModelError
from hilbench.models.planner.fuse import (
    build_graph,
    drop_reshapes,
    fuse_activations,
    lay_out_blocks,
)
from hilbench.models.planner.fuse_copies import drop_copies, fuse_padding
from hilbench.models.planner.graph import Graph
from hilbench.models.planner.layout import describe_fault
from hilbench.models.planner.lower import Constants, Context, Lowered
from hilbench.models.planner.memory import Strategy, best_fit
from hilbench.models.planner.pack import pack_plan, plan_arena
from hilbench.models.planner.sets import KernelSet, kernel_sets, sets_of
from hilbench.models.planner.support import SUPPORTED, check_model
from hilbench.models.tflite_file import TfliteModel
from hilbench.records import Plan

__all__ = ["SUPPORTED", "describe_fault", "kernel_sets", "plan_model"]


def plan_model(
    model: TfliteModel, kernels: str = "portable", memory_strategy: Strategy = best_fit
) -> Plan:
    """Plan a model for the kernels of a firmware.

    Args:
        model: from ``hilbench.models.tflite_file.read_model``.
        kernels: what the firmware states in HELLO, for example "portable dsp".
        memory_strategy: places tensors in the arena.

    Raises:
        UnsupportedOperatorError: no kernel can run an operator.
        ModelError: the model contradicts itself, or there is no such kernel set.
    """
    try:
        sets = sets_of(kernels)
    except KeyError:
        raise ModelError(
            f"{model.path}: no plans for kernels {kernels!r}; known sets: "
            f"{', '.join(kernel_sets())}; build the firmware from this version: make firmware"
        ) from None
    check_model(model)
    graph = graph_of(model)
    constants = Constants()
    lowered = [_lower(Context(graph, node, constants), sets) for node in graph.nodes]
    return pack_plan(graph, lowered, constants, plan_arena(graph, lowered, memory_strategy))


def graph_of(model: TfliteModel) -> Graph:
    """Return what will run of a checked model.

    Raises:
        UnsupportedOperatorError, ModelError: options without a kernel, or contradictions.
    """
    graph = fuse_padding(fuse_activations(build_graph(model)))
    return lay_out_blocks(drop_copies(drop_reshapes(graph)))


def _lower(context: Context, sets: tuple[KernelSet, ...]) -> Lowered:
    """Ask the sets in turn; the last one is portable, which has a kernel or raises."""
    for kernel_set in sets:
        lowering = kernel_set.lowerings.get(context.node.operator.name)
        before = len(context.constants)
        lowered = None if lowering is None else lowering(context)
        if lowered is not None:
            return replace(lowered, constant_bytes=len(context.constants) - before)
    raise AssertionError(f"{context.where}: the portable set neither lowered nor refused it")
