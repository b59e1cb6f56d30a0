"""Everything about a variant that the host can know before any board is touched."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hilbench.errors import MeasurementError, ModelError, ToolMissingError, VectorError
from hilbench.measurement.accuracy import Accuracy, dequantise, evaluate
from hilbench.models.boundary import as_one, join_inputs, split_outputs
from hilbench.models.oracle import HostReference, TflmOracle
from hilbench.models.payload import takes_tflite, tflite_payload
from hilbench.models.planner import plan_model
from hilbench.models.tflite_file import TfliteModel, parse_model, read_model
from hilbench.models.vectors import RawVectors, prepare_inputs, subset
from hilbench.records import Payload, Plan, VariantConfig, VectorsConfig, VectorSet


@dataclass(frozen=True)
class PreparedVariant:
    """A variant ready for boards: its plan, its vectors, and what the host says of them."""

    config: VariantConfig
    model: TfliteModel
    plan: Payload  # for portable kernels, until for_board() says otherwise
    vectors: VectorSet
    quantise: str
    reference: NDArray[np.generic] | None  # [n, ...] outputs of the host interpreter
    reference_name: str  # or why there are none
    reference_accuracy: Accuracy | None
    quantised: bool  # any operator computes in int8: then TensorFlow Lite Micro is the oracle
    golden: NDArray[np.generic] | None  # [n, ...] its outputs
    golden_name: str  # its name and version, or why there is none
    zlib_bytes: int

    @property
    def input_bytes(self) -> NDArray[np.uint8]:
        """[n, bytes] as the board gets them."""
        return join_inputs(self.plan.inputs, self.vectors.inputs)

    def for_board(self, runtime: str, kernels: str) -> PreparedVariant:
        """Return this variant with what a board executes: a plan for its kernels, or the .tflite file.

        Args:
            runtime: as HELLO states it.
            kernels: likewise.

        Raises:
            ModelError: this version of hilbench does not know these kernels.
        """
        if takes_tflite(runtime):
            return replace(self, plan=tflite_payload(self.model, self.plan))
        plan = _plan_for(self.model.data, self.model.path, kernels)
        return self if plan.sha256 == self.plan.sha256 else replace(self, plan=plan)

    def decode_outputs(self, raw: NDArray[np.uint8]) -> NDArray[np.generic]:
        """[n, output_bytes] from the board to [n, *output shape] of the model's dtype.

        Several outputs are [n, elements of all].
        """
        return as_one(split_outputs(self.plan.outputs, raw))

    def real_outputs(self, outputs: NDArray[np.generic]) -> NDArray[np.generic]:
        """What the metric judges: real values of the one output; several stay as they are."""
        return _real(self.plan, outputs)


def prepare_variant(
    variant: VariantConfig, raw: RawVectors, vectors: VectorsConfig, limit: int | None
) -> PreparedVariant:
    """Read, plan and run a variant on the host.

    Args:
        variant: from suite.toml.
        raw: its vectors as the file has them.
        vectors: their table.
        limit: use only the first so many vectors; None for all.

    Raises:
        ModelError, UnsupportedOperatorError, VectorError, ToolMissingError.

    A label that the model cannot give is the vectors' fault.
    """
    model = read_model(variant.model)
    plan = plan_model(model)
    full, quantise = prepare_inputs(raw, plan.inputs, vectors.quantise)
    chosen = full if limit is None else subset(full, limit)
    quantised = computes_in_int8(model)
    golden, golden_name = _golden(variant, vectors, model, chosen) if quantised else (None, "")
    outputs, reference_name = _reference(model, chosen, needed=golden is None)
    try:
        if len(plan.outputs) > 1 and chosen.metric != "none":
            raise VectorError(
                f"vectors {chosen.name!r}: metric {chosen.metric!r} judges one output, "
                f'{model.path.name} has {len(plan.outputs)}; set metric = "none"'
            )
        accuracy = None
        if outputs is not None:
            accuracy = evaluate(chosen.metric, _real(plan, outputs), chosen.y)
    except MeasurementError as error:
        raise VectorError(f"vectors {chosen.name!r}: {error}") from error
    return PreparedVariant(
        config=variant,
        model=model,
        plan=plan,
        vectors=chosen,
        quantise=quantise,
        reference=outputs,
        reference_name=reference_name,
        reference_accuracy=accuracy,
        quantised=quantised,
        golden=golden,
        golden_name=golden_name,
        zlib_bytes=len(zlib.compress(model.data, 9)),
    )


@lru_cache(maxsize=256)
def _plan_for(data: bytes, path: Path, kernels: str) -> Plan:
    """Boards with the same kernels share a plan."""
    return plan_model(parse_model(data, path), kernels)


def _real(plan: Payload, outputs: NDArray[np.generic]) -> NDArray[np.generic]:
    return dequantise(outputs, plan.output) if len(plan.outputs) == 1 else outputs


def computes_in_int8(model: TfliteModel) -> bool:
    """Return whether any operator gives int8, whatever the model's own input and output are."""
    return any(
        model.tensors[t].dtype == "int8" for operator in model.operators for t in operator.outputs
    )


def _reference(
    model: TfliteModel, chosen: VectorSet, *, needed: bool
) -> tuple[NDArray[np.generic] | None, str]:
    """The host interpreter's outputs; it may refuse a model that has TFLM's to be compared with."""
    reference = HostReference()
    try:
        return as_one(reference.run_many(model.data, chosen.inputs)), reference.name
    except ModelError as error:
        if needed:
            raise
        return None, str(error)  # said in the row and under the table


def _golden(
    variant: VariantConfig, vectors: VectorsConfig, model: TfliteModel, chosen: VectorSet
) -> tuple[NDArray[np.generic] | None, str]:
    """TFLM's outputs: from the golden file where there is one, else from the wheel."""
    if vectors.golden is not None:
        return _golden_file(vectors.golden, variant.name, model, chosen)
    try:
        oracle = TflmOracle()
    except ToolMissingError as error:
        return None, str(error)  # said in the row and under the table
    return as_one(oracle.run_many(model.data, chosen.inputs)), oracle.name


def _golden_file(
    path: Path, variant: str, model: TfliteModel, chosen: VectorSet
) -> tuple[NDArray[np.generic], str]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: np.asarray(archive[key]) for key in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise VectorError(
            f"{path}: cannot be read as golden outputs ({error}); make them again with "
            "tools/make_golden.py"
        ) from error
    if f"outputs.{variant}" not in arrays:
        raise VectorError(
            f"{path}: no golden outputs of variant {variant!r}; make them again with "
            "tools/make_golden.py or remove the key golden"
        )
    for what, expected in ((f"sha256.{variant}", model.sha256), ("vectors_sha256", chosen.sha256)):
        found = str(arrays.get(what, ""))
        if found != expected:
            raise VectorError(
                f"{path}: {what} is {found[:12]}, but the file in use has {expected[:12]}; "
                "make the golden outputs again with tools/make_golden.py"
            )
    outputs = arrays[f"outputs.{variant}"][: len(chosen.x)]
    return outputs, f"tflite-micro {arrays['tflite_micro_version']} (golden)"
