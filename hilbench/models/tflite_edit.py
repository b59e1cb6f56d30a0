"""Changes of a .tflite file that need no converter."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from tflite.Model import Model

_OUTPUTS_FIELD = 8  # in the vtable of SubGraph, schema version 3


def with_outputs(data: bytes, tensors: Sequence[int]) -> bytes:
    """Return a model with other outputs, for example every tensor that it computes.

    Interpreters then keep these values apart; without it TensorFlow Lite adds in place and loses an
    input of ADD, even where it was asked to preserve all tensors.

    Args:
        data: a sound .tflite file (``models.tflite_file.parse_model`` took it).
        tensors: numbers of tensors in its first subgraph.
    """
    table = Model.GetRootAs(data).Subgraphs(0)._tab  # noqa: SLF001 - the schema package only reads
    slot = table.Pos + table.Offset(_OUTPUTS_FIELD)
    padded = data + bytes(-len(data) % 4)
    longer = bytearray(padded + struct.pack(f"<{len(tensors) + 1}i", len(tensors), *tensors))
    struct.pack_into("<I", longer, slot, len(padded) - slot)  # offsets count from their own place
    return bytes(longer)
