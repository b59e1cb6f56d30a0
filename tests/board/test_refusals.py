from __future__ import annotations

from types import SimpleNamespace

import pytest

from hilbench.board.refusals import explain_refusal
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


@pytest.mark.parametrize(("code", "runtime"), [("HASH_MISMATCH", "plan 1"), ("BAD_MODEL", "tflm")])
def test_other_errors_stay_as_they_are(code, runtime):
    error, told = refused(code=code, runtime=runtime)
    assert told is error
