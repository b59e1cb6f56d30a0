from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from hilbench.board.refusals import TFLM_FAULTS, explain_refusal
from hilbench.board.sources import FIRMWARE
from hilbench.errors import DeviceError


def refused(code="BAD_MODEL", detail=(7, 48), runtime="plan 1"):
    hello = SimpleNamespace(runtime=runtime, kernels="portable: fc_s8")
    error = DeviceError("as the link says it", code=code, detail=detail)
    return error, explain_refusal("uno", error, hello)


@pytest.mark.parametrize(
    ("detail", "sentence"),
    [
        (
            (7, 48),
            "the firmware has no kernel of this kind (plan byte 48); it has portable: fc_s8; "
            "choose another variant or another board",
        ),
        (
            (2, 0),
            "these bytes are not a plan (plan byte 0); "
            "plan it again with the hilbench that built the firmware",
        ),
        (
            (99, 5),
            "unknown fault 99 (plan byte 5); "
            "plan it again with the hilbench that built the firmware",
        ),
    ],
)
def test_the_plan_runtimes_reasons_become_words(detail, sentence):
    _, told = refused(detail=detail)
    assert str(told) == f"board uno refused LOAD: {sentence}"
    assert (told.code, told.detail) == ("BAD_MODEL", detail)


@pytest.mark.parametrize(
    ("detail", "sentence"),
    [
        ((1, 0), "these bytes are no sound .tflite file; export the model again"),
        (
            (2, 4),
            "the .tflite file has schema version 4, the library reads 3; export the model again",
        ),
        (
            (3, 2),
            "the model has 2 subgraphs, this runtime takes 1; export a model without control flow",
        ),
        (
            (4, 2 << 16 | 1),
            "the model has 2 inputs and 1 outputs, this runtime takes 1 of each; "
            "export a model with one input and one output",
        ),
        (
            (5, 7),
            "shape, type, data or use of tensor 7 contradict each other; export the model again",
        ),
        (
            (6, 3),
            "operator 3 names tensors or an operator code that it cannot have; "
            "export the model again",
        ),
        (
            (7, 28),
            "no kernel is registered for TANH; "
            "add it to device_firmware/runtimes/tflm/tflm.cc, or choose another variant",
        ),
        (
            (8, 0),
            "operator 0 does not compute in int8, all registered kernels do; "
            "convert the model to full int8, or choose another runtime",
        ),
        (
            (9, 2),
            "the kernel refuses the parameters of operator 2; "
            "compare with the tflite-micro package on this computer",
        ),
        (
            (10, 0),
            "the library could not allocate the model; "
            "compare with the tflite-micro package on this computer",
        ),
        (
            (11, 1),
            "the kernel of operator 1 failed; "
            "compare with the tflite-micro package on this computer",
        ),
        (
            (12, 1),
            "an assertion of the library failed at operator 1; "
            "compare with the tflite-micro package on this computer",
        ),
        ((13, 0), "no model is loaded; load one first"),
        (
            (99, 5),
            "unknown reason 99 (position 5); build the firmware from this version of hilbench",
        ),
    ],
)
def test_the_tflm_runtimes_reasons_become_words(detail, sentence):
    _, told = refused(detail=detail, runtime="tflm 5a0c93d1")
    assert str(told) == f"board uno refused LOAD: {sentence}"
    assert (told.code, told.detail) == ("BAD_MODEL", detail)


def test_the_tflm_runtimes_reasons_are_those_of_its_header():
    header = (FIRMWARE / "runtimes/tflm/hb_tflm.h").read_text()
    numbers = [int(n) for n in re.findall(r"HB_TFLM_\w+ = (\d+)", header)]
    assert numbers == list(TFLM_FAULTS)


@pytest.mark.parametrize(
    ("code", "runtime"),
    [("HASH_MISMATCH", "plan 1"), ("HASH_MISMATCH", "tflm 5a0c93d1"), ("BAD_MODEL", "mine 1")],
)
def test_other_errors_stay_as_they_are(code, runtime):
    error, told = refused(code=code, runtime=runtime)
    assert told is error
