"""gate.toml: what it says, and every sentence about what it may not."""

from __future__ import annotations

from datetime import date

import pytest

from hilbench.errors import ConfigError
from hilbench.gate.config import (
    GATED,
    Budget,
    GateConfig,
    Layout,
    Limits,
    Margin,
    Pair,
    Waiver,
    Where,
    load_gate,
)

WHOLE = """\
schema = 1
[gate]
alpha = 0.01
metrics = ["accuracy", "latency_median", "plan_bytes", "energy_uj"]
[confirm]
sessions = 10
inconclusive = false
[[margin]]
metric = "latency_median"
board = "uno*"
percent = 2
[[margin]]
metric = "accuracy"
points = 0.5
[[margin]]
metric = "plan_bytes"
variant = "int8"
allowance = 64
[[budget]]
metric = "plan_bytes"
maximum = 32768
[[waiver]]
metric = "latency_median"
board = "m4"
maximum = 9e5
reason = "new softmax"
expires = 2026-12-31
[[pair]]
baseline = "dense"
candidate = "pruned"
[[layout]]
percent = 0.5
builds = 8
[[layout]]
board = "uno*"
variant = "mlp"
percent = 0
builds = 12
"""


def load(tmp_path, text):
    path = tmp_path / "gate.toml"
    path.write_text(text)
    return load_gate(path)


def test_all_of_it(tmp_path):
    assert load(tmp_path, WHOLE) == GateConfig(
        alpha=0.01,
        metrics=("accuracy", "latency_median", "plan_bytes", "energy_uj"),
        confirm_sessions=10,
        confirm_inconclusive=False,
        margins=(
            Margin(Where("latency_median", "uno*"), 0.02),
            Margin(Where("accuracy"), 0.005),
            Margin(Where("plan_bytes", variant="int8"), 64.0),
        ),
        budgets=(Budget(Where("plan_bytes"), Limits(32768, None)),),
        waivers=(
            Waiver(Where("latency_median", "m4"), Limits(9e5, None), "new softmax", date(2026, 12, 31)),
        ),
        pairs=(Pair("dense", "pruned"),),
        layouts=(Layout(0.005, 8), Layout(0.0, 12, "uno*", "mlp")),
        source=str(tmp_path / "gate.toml"),
    )  # fmt: skip


def test_nothing_but_a_schema_is_the_default(tmp_path):
    path = str(tmp_path / "gate.toml")
    assert load(tmp_path, "schema = 1\n") == GateConfig(source=path)


def test_margins_without_a_file():
    config = GateConfig()
    metrics = ("latency_median", "energy_uj", "accuracy", "plan_bytes")
    assert [config.margin("m4", "int8", m) for m in metrics] == [0.005, 0.02, 0.01, 0.0]
    assert "latency_us" not in GATED


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[gate]\nalpha = 0.5", "[gate] alpha is 0.5, must be below 0.5"),
        ("[gate]\nalpha = 0", "[gate] alpha is 0, must be above 0"),
        ('[gate]\nmetrics = ["latency_medium"]',
         "[gate] metrics: 'latency_medium' is no metric; known: "),
        ("[[layout]]\npercent = 1", "[[layout]] 1: builds is missing"),
        ("[[layout]]\npercent = 1\nbuilds = 1", "[[layout]] 1: builds is 1, must be at least 2"),
        ("[gate]\nalfa = 1", "[gate] unknown key 'alfa'; known: alpha, metrics (did you mean 'alpha'?)"),
        ('[[margin]]\nmetric = "latncy_median"\npercent = 1',
         "(did you mean 'latency_median'?)"),
        ('[[margin]]\nmetric = "accuracy"\npercent = 1',
         "[[margin]] 1: a margin of accuracy is given as points, and as nothing else; write points = 1"),
        ('[[margin]]\nmetric = "plan_bytes"',
         "[[margin]] 1: a margin of plan_bytes is given as allowance, and as nothing else; write allowance = 1"),
        ('[[budget]]\nmetric = "plan_bytes"',
         "[[budget]] 1: neither maximum nor minimum; add the one that limits it"),
        ('[[waiver]]\nmetric = "plan_bytes"\nmaximum = 1\nexpires = 2026-12-31',
         '[[waiver]] 1: reason is missing; add reason = "…"'),
        ('[[waiver]]\nmetric = "plan_bytes"\nmaximum = 1\nreason = " "\nexpires = 2026-12-31',
         "[[waiver]] 1: reason is blank; say it or remove the key"),
        ('[[waiver]]\nmetric = "plan_bytes"\nmaximum = 1\nreason = "x"',
         "[[waiver]] 1: expires is missing; add expires = 2026-12-31"),
        ('[[waiver]]\nmetric = "plan_bytes"\nreason = "x"\nexpires = 2026-12-31',
         "[[waiver]] 1: neither maximum nor minimum; add the one that limits it"),
        ('[[waiver]]\nmetric = "plan_bytes"\nminimum = 0\nreason = "x"\nexpires = 2026-12-31',
         "[[waiver]] 1: of plan_bytes more is worse, and there is no maximum: any regression would be "
         "waived; add maximum = 1.0"),
        ("[margin]\nmetric = 1", "margin must be a list of tables, is a table"),
        ("[confirm]\nsessions = 1", "[confirm] sessions is 1, must be at least 2"),
    ],
)  # fmt: skip
def test_what_it_may_not_say(tmp_path, text, sentence):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, f"schema = 1\n{text}\n")
    assert sentence in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'gate.toml'}: ")
    assert "\n" not in str(caught.value)


def test_absent(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load_gate(tmp_path / "x.toml")
    assert str(caught.value) == (
        f"{tmp_path / 'x.toml'}: cannot be read (No such file or directory); docs/gate.md shows one"
    )


def test_the_last_layout_that_matches_counts():
    config = GateConfig(
        layouts=(Layout(0.005, 8), Layout(0.001, 4, "uno*"), Layout(0.002, 3, "m?", "int8"))
    )
    cells = [("riscv", "int8"), ("uno", "int8"), ("m4", "int8"), ("m4", "mlp")]
    assert [config.layout(*cell).builds for cell in cells] == [8, 4, 3, 8]
    assert GateConfig().layout("uno", "int8") is None
