"""Whatever a .tflite file holds, planning it ends in a plan or in one line that names the file.

A longer run: PYTHONPATH=.:tests python -m tests.models.test_hostile_models MUTANTS [FIRST SEED]
"""

from __future__ import annotations

import sys
import time
import traceback
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from builders import operator_models as models
from builders.host_runtime import SET_FLAGS
from builders.random_networks import RandomNetwork
from builders.tflite_builder import ModelBuilder
from hilbench.errors import HilbenchError, ModelError, UnsupportedOperatorError
from hilbench.models.planner import plan_model
from hilbench.models.tflite_file import parse_model

TEXTS = [name if name == "portable" else f"portable {name}" for name in SET_FLAGS]
DIMENSIONS = (0, -1, 1, 2, 3, 7, 255, 65_535, 65_536, 2**20, 2**31 - 1, -(2**31))
SCALES = (0.0, -0.05, float("nan"), float("inf"), 1e-45, 1e-30, 3e38, 1.0, 2.0**-20)
NUMBERS = (0, -1, 1, 2, 3, 127, 128, 65_535, 65_536, 10**9, 2**31 - 1, -(2**31))
DTYPES = ("int8", "float32", "int32", "int16", "uint8")
TABLES = ("Conv2DOptions", "Pool2DOptions", "AddOptions", "SoftmaxOptions", "ReducerOptions", None)
KNOWN = {"plan", "ModelError", "UnsupportedOperatorError"}
LONGEST_S = 20.0  # a hang is longer: only the longer run looks at the clock


class Mutator:
    """Makes hostile files from random networks."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        dtype = "int8" if self.rng.random() < 0.8 else "float32"
        self.network = RandomNetwork(seed, dtype)
        self.data = self.network.build(1 + seed % 8)

    def choice(self, items):
        return items[int(self.rng.integers(len(items)))]

    def mutant(self) -> bytes:
        """Return one, of any kind."""
        kind = self.rng.random()
        if kind < 0.05:
            return self.data[: int(self.rng.integers(len(self.data)))]
        if kind < 0.4:
            return self._bytes()
        return self._structure()

    def _bytes(self) -> bytes:
        """Flip bits, or overwrite words, rather near the end, where the tables are."""
        data = bytearray(self.data)
        for _ in range(int(self.rng.integers(1, 6))):
            span = len(data) if self.rng.random() < 0.4 else min(len(data), 1500)
            at = int(self.rng.integers(span)) // 4 * 4
            at = at if self.rng.random() < 0.5 else max(len(data) - 4 - at, 0)
            if self.rng.random() < 0.5:
                data[at] ^= 1 << int(self.rng.integers(8))
            else:
                data[at : at + 4] = (self.choice(NUMBERS) & 0xFFFFFFFF).to_bytes(4, "little")
        return bytes(data[: len(self.data)])

    def _structure(self) -> bytes:
        model = self.network.model
        saved = [dict(vars(t)) for t in model.tensors], [dict(vars(o)) for o in model.operators]
        inputs = [t.index for t in self.network.inputs]
        outputs = [self.choice(range(len(model.tensors)))] if self.rng.random() < 0.1 else None
        try:
            for _ in range(int(self.rng.integers(1, 4))):
                if self.rng.random() < 0.5:
                    self._tensor(self.choice(model.tensors))
                else:
                    self._operator(self.choice(model.operators), len(model.tensors))
            return model.build(inputs, outputs or [self.network.tensors[-1].index])
        except (OverflowError, ValueError, TypeError):  # no file can say this
            return self.data
        finally:
            for item, values in zip((*model.tensors, *model.operators), (*saved[0], *saved[1]), strict=True):  # fmt: skip
                vars(item).update(values)

    def _tensor(self, tensor) -> None:
        field = self.rng.random()
        if field < 0.3 and tensor.shape:
            shape = list(tensor.shape)
            shape[self.choice(range(len(shape)))] = self.choice(DIMENSIONS)
            tensor.shape = tuple(shape)
        elif field < 0.4:
            tensor.shape = self.choice(((), (1,), tensor.shape[1:], (1, *tensor.shape), (2,) * 9))
        elif field < 0.55:
            count = self.choice((0, 1, 1, 2, len(tensor.scales)))
            tensor.scales = [self.choice(SCALES) for _ in range(count)]
            tensor.zero_points = [0] * count
        elif field < 0.65:
            tensor.zero_points = [self.choice(NUMBERS)] * self.choice((0, 1, len(tensor.scales)))
        elif field < 0.75:
            tensor.dimension = self.choice(NUMBERS)
        elif field < 0.85:
            tensor.dtype = self.choice(DTYPES)
            if tensor.data is not None and self.rng.random() < 0.7:
                tensor.data = tensor.data.astype(tensor.dtype)
        elif tensor.data is None:
            tensor.data = np.zeros(self.choice((1, 4, 12)), np.int8)
        elif self.rng.random() < 0.5:
            tensor.data = None
        else:
            data = np.array(tensor.data)
            limits = np.iinfo(data.dtype) if data.dtype.kind == "i" else None
            value = self.choice(NUMBERS if limits else SCALES)
            data.flat[self.choice(range(data.size))] = (
                value if limits is None else min(max(value, limits.min), limits.max)
            )
            tensor.data = data

    def _operator(self, operator, tensors: int) -> None:
        field = self.rng.random()
        indices = [-1, *range(tensors), tensors, 2**31 - 1]
        if field < 0.3:
            operator.inputs = list(operator.inputs)
            operator.inputs[self.choice(range(len(operator.inputs)))] = self.choice(indices)
        elif field < 0.4:
            operator.inputs = self.choice(([], operator.outputs, [*operator.inputs, 0]))
        elif field < 0.5:
            operator.outputs = self.choice(
                ([], operator.inputs, [self.choice(indices)], [*operator.outputs, 0])
            )
        elif field < 0.6:
            operator.name = self.choice([o.name for o in self.network.model.operators])
        elif field < 0.7:
            operator.table = self.choice(TABLES)
            operator.options = {}
        elif operator.options:
            key = self.choice(list(operator.options))
            old = operator.options[key]
            new = self.choice(NUMBERS if not isinstance(old, float) else SCALES)
            operator.options = operator.options | {key: new}


def _refusal_of(data: bytes) -> str:
    """Return "plan", or the error's type and its line."""
    try:
        model = parse_model(data, Path("hostile.tflite"))
        for text in TEXTS:
            plan_model(model, text)
    except HilbenchError as error:
        line = f"{type(error).__name__} {error}"
    else:
        return "plan"
    assert line.partition(" ")[2].startswith("hostile.tflite: ")
    assert "\n" not in line
    return line


def outcomes(seed: int, mutants: int) -> Counter[str]:
    """Plan mutants for every kernel set; anything but a plan or a typed error is raised."""
    mutator, found = Mutator(seed), Counter()
    for _ in range(mutants):
        data = mutator.mutant()
        found[_refusal_of(data).partition(" ")[0]] += 1
    return found


@pytest.mark.filterwarnings("error")  # numpy overflows are numbers made of unknowns
def test_a_plan_or_a_typed_error():
    total = sum((outcomes(seed, 10) for seed in range(60)), Counter())
    assert total["plan"] > 30
    assert total["UnsupportedOperatorError"] > 20
    assert total["ModelError"] > 100


def refusal(data: bytes, error: type[HilbenchError]) -> str:
    with pytest.raises(error) as caught:
        plan_model(parse_model(data, Path("hostile.tflite")))
    return str(caught.value)


def test_an_input_without_a_scale_that_nobody_reads():
    model = ModelBuilder()
    x, y = (model.tensor((1, 4), "int8", scale=0.1) for _ in range(2))
    unread = model.tensor((1, 4), "int8")
    model.operator("RELU", [x], [y])
    assert refusal(model.build([x, unread], [y]), ModelError) == (
        "hostile.tflite: input or output 't2' is int8 with 0 scales, must have 1; "
        "quantise the model again"
    )


def test_an_activation_far_beyond_the_range_of_a_scale():
    data = models.convolution(1, activation="RELU6", out_scale=1e-41, scales=[1e-41] * 4)
    plan_model(parse_model(data, Path("hostile.tflite")))


@pytest.mark.parametrize("beta", [-1.0, float("inf"), float("nan")])
def test_beta_of_a_softmax(beta):
    for dtype in ("int8", "float32"):
        text = refusal(models.softmax(dtype, beta=beta), UnsupportedOperatorError)
        assert f"no kernel for a beta of {beta:g}; " in text


def main(mutants: int, first: int = 0) -> int:
    total, slowest = Counter(), 0.0
    for seed in range(first, first + mutants // 10):
        started = time.monotonic()
        try:
            total += outcomes(seed, 10)
        except Exception as error:  # noqa: BLE001 - all are told
            total[type(error).__name__] += 1
            print(f"seed {seed}:", *traceback.format_exception(error)[-3:], flush=True)
        slowest = max(slowest, time.monotonic() - started)
        if time.monotonic() - started > LONGEST_S:
            print(f"seed {seed}: {time.monotonic() - started:.1f} s", flush=True)
    print(dict(total), f"slowest ten: {slowest:.1f} s")
    return int(any(name not in KNOWN for name in total))


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
