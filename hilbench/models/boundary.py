"""A model's inputs and outputs as they cross the link: one block of bytes each way.

Several inputs lie in their block one after the other, in the model's order, each at a multiple of
``records.BLOCK_ALIGNMENT``; the bytes between them are 0. So do several outputs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hilbench.errors import VectorError
from hilbench.records import TensorInfo, block_bytes, block_offsets


def join_inputs(
    tensors: Sequence[TensorInfo], inputs: Sequence[NDArray[np.generic]]
) -> NDArray[np.uint8]:
    """Return [n, bytes of the block] for one array [n, ...] per input, of the tensors' dtypes."""
    block = np.zeros((len(inputs[0]), block_bytes(tensors)), np.uint8)
    for tensor, at, x in zip(tensors, block_offsets(tensors), inputs, strict=True):
        raw = np.ascontiguousarray(x).reshape(len(x), -1).view(np.uint8)
        block[:, at : at + tensor.bytes] = raw
    return block


def split_outputs(
    tensors: Sequence[TensorInfo], block: NDArray[np.uint8]
) -> tuple[NDArray[np.generic], ...]:
    """Return one array [n, *shape without a batch of 1] per output for a block [n, bytes]."""
    found = []
    for tensor, at in zip(tensors, block_offsets(tensors), strict=True):
        raw = np.ascontiguousarray(block[:, at : at + tensor.bytes])
        inner = tensor.shape[1:] if tensor.shape[:1] == (1,) else tensor.shape
        found.append(raw.view(np.dtype(tensor.dtype)).reshape(len(block), *inner))
    return tuple(found)


def as_one(outputs: Sequence[NDArray[np.generic]]) -> NDArray[np.generic]:
    """Return the one output as it is, several as [n, all their elements], to be compared.

    Raises:
        VectorError: they are of different types.
    """
    if len(outputs) == 1:
        return outputs[0]
    types = {str(y.dtype) for y in outputs}
    if len(types) != 1:
        raise VectorError(
            f"outputs are {' and '.join(sorted(types))}, results are compared in one type; "
            "export the model with outputs of one type"
        )
    return np.concatenate([y.reshape(len(y), -1) for y in outputs], axis=1)
