"""Where a board's outputs leave the oracle's: operator by operator, the first that differs."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hilbench.bench.prepare import computes_in_int8
from hilbench.board.image_facts import image_facts
from hilbench.board.images import find_image
from hilbench.board.life import OpenBoard, open_board
from hilbench.board.resident import is_resident, needs_resident, patch_image
from hilbench.measurement.agreement import FLOAT_TOLERANCE, agreement
from hilbench.models.boundary import join_inputs
from hilbench.models.oracle import HostReference, Oracle, TflmOracle
from hilbench.models.planner import plan_model
from hilbench.models.planner.prefixes import parameters, prefixes
from hilbench.models.tflite_file import TfliteModel
from hilbench.records import BoardConfig, Image, Plan, PlannedOperator

SEED = 1
Planner = Callable[[TfliteModel, str], Plan]


@dataclass(frozen=True)
class Compared:
    """What one operator gives, on the board and by the oracle."""

    operator: PlannedOperator
    parameters: dict[str, float]
    elements: int  # of all vectors
    differing: int  # int8: unequal; float32: further apart than 1e-5 of the largest
    lsb_max: int | None  # int8
    relative_max: float | None  # float32: of the largest value of the oracle
    first: tuple[int, ...] | None  # vector, then the place in the tensor
    got: float | None  # there, on the board
    expected: float | None  # there, by the oracle

    @property
    def agrees(self) -> bool:
        """Whether nothing differs."""
        return self.differing == 0


@dataclass
class Difference:
    """What was compared, in order, as far as the first operator that differs."""

    board: str
    kernels: str
    oracle: str
    vectors: int
    whole: Compared
    operators: list[Compared] = field(default_factory=list)

    @property
    def first(self) -> Compared | None:
        """The first operator that differs; None also where only the whole model does."""
        return next((c for c in self.operators if not c.agrees), None)


def random_vectors(shape: Sequence[int], dtype: str, count: int) -> NDArray[np.generic]:
    """Return [count, *shape]: int8 over the whole range, float32 standard normal, from a fixed seed."""
    chance = np.random.default_rng(SEED)
    if dtype == "int8":
        return chance.integers(-128, 128, (count, *shape)).astype(np.int8)
    return chance.standard_normal((count, *shape)).astype(np.float32)


def diff_model(
    config: BoardConfig,
    model: TfliteModel,
    inputs: Sequence[NDArray[np.generic]],
    *,
    every: bool = False,
    on_state: Callable[[str], None] = lambda _state: None,
    planner: Planner = plan_model,
) -> Difference:
    """Compare a board with TensorFlow Lite Micro (models without int8: TensorFlow Lite).

    Args:
        config: the board's table.
        model: what to run.
        inputs: per input of the model [n, *its shape], of its dtype.
        every: go through all operators; otherwise stop when all of the model agrees, or at the first
            operator that differs.
        on_state: told what happens, for people.
        planner: makes the plans.

    Raises:
        UnsupportedOperatorError, ModelError, ToolMissingError, BoardError, LinkError, ...
    """
    oracle: Oracle = TflmOracle() if computes_in_int8(model) else HostReference()
    image = find_image(config.firmware)
    kernels = image_facts(image).planned_kernels(config.id)
    planner(model, kernels)  # refuses, before an interpreter sees the model
    cuts = prefixes(model)
    on_state(f"asking {oracle.name}")
    tensors = [tensor for tensor, _ in cuts]
    answers = list(oracle.tensors(model.data, inputs, tensors))
    expected = {t: np.stack([answer[t] for answer in answers]) for t in tensors}
    with _Runner(config, image, inputs, on_state) as runner:

        def compared(tensor: int, cut: TfliteModel) -> Compared:
            plan = planner(cut, kernels)
            outputs = runner.outputs(plan)
            return compare(plan, outputs, expected[tensor].reshape(outputs.shape), oracle.name)

        found = Difference(config.id, kernels, oracle.name, len(inputs[0]), compared(*cuts[-1]))
        # The last operator stands for one output; of several, another one may differ.
        if found.whole.agrees and not every and len(model.outputs) == 1:
            return found
        for tensor, cut in cuts:
            found.operators.append(compared(tensor, cut))
            if not found.operators[-1].agrees and not every:
                break
    return found


class _Runner(contextlib.ExitStack):
    """Runs plans on one board: loaded one after the other, or flashed where they are in the image."""

    def __init__(
        self,
        config: BoardConfig,
        image: Image,
        inputs: Sequence[NDArray[np.generic]],
        on_state: Callable[[str], None],
    ) -> None:
        super().__init__()
        self._config, self._image, self._on_state = config, image, on_state
        self._inputs = inputs
        self._resident = needs_resident(image) is not None
        self._board: OpenBoard | None = None

    def outputs(self, plan: Plan) -> NDArray[np.generic]:
        """Return [n, *output shape] of one plan."""
        name = plan.operators[-1].name
        with self._open(plan) as board:
            self._on_state(f"up to operator {len(plan.operators) - 1} {name}")
            probe = board.emulated if board.emulated and board.emulated.has_probe else None
            board.client.load(
                plan.data, bytes.fromhex(plan.sha256), probe, resident=is_resident(board.image)
            )
            done = board.client.run(join_inputs(plan.inputs, self._inputs), want_ticks=False)
        assert done.outputs is not None
        values = np.ascontiguousarray(done.outputs).view(np.dtype(plan.output.dtype))
        return values.reshape(len(done.outputs), *plan.output.shape)

    @contextlib.contextmanager
    def _open(self, plan: Plan) -> Iterator[OpenBoard]:
        if not self._resident:
            if self._board is None:
                self._board = self.enter_context(self._opened(self._image))
            yield self._board
            return
        with tempfile.TemporaryDirectory(prefix="hilbench-") as folder:
            patched = patch_image(self._image, plan, Path(folder))
            with self._opened(patched) as board:
                yield board

    def _opened(self, image: Image) -> contextlib.AbstractContextManager[OpenBoard]:
        return open_board(self._config, image, self._on_state, lambda _emulator: None)


def compare(
    plan: Plan, outputs: NDArray[np.generic], expected: NDArray[np.generic], oracle: str
) -> Compared:
    """Compare what the last operator of a plan gave.

    Raises:
        MeasurementError: dtypes differ, or a value is not finite.
    """
    agreed = agreement(outputs, expected, oracle)
    if agreed.relative_max is None:
        apart = outputs != expected
    elif agreed.agrees:
        apart = np.zeros(outputs.shape, bool)
    else:
        truth = expected.astype(np.float64)
        apart = np.abs(outputs.astype(np.float64) - truth) > FLOAT_TOLERANCE * np.abs(truth).max()
    places = np.argwhere(apart)
    at = tuple(int(i) for i in places[0]) if len(places) else None
    return Compared(
        operator=plan.operators[-1],
        parameters=parameters(plan, len(plan.operators) - 1),
        elements=outputs.size,
        differing=len(places),
        lsb_max=agreed.lsb_max,
        relative_max=agreed.relative_max,
        first=at,
        got=None if at is None else float(outputs[at]),
        expected=None if at is None else float(expected[at]),
    )
