"""docs/gate.md: its gate.toml loads, its commands and metrics are there."""

from __future__ import annotations

import re
from pathlib import Path

from hilbench import plugins
from hilbench.gate.config import GATED, load_gate
from hilbench.gate.verdicts import VERDICTS
from hilbench.metrics import BY_NAME

PAGE = (Path(__file__).parents[2] / "docs/gate.md").read_text(encoding="utf-8")


def test_the_example_loads(tmp_path):
    path = tmp_path / "gate.toml"
    path.write_text(re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)[1])
    config = load_gate(path)
    assert len(config.margins) == 3
    assert set(config.metrics) <= set(GATED)


def test_every_verdict_has_its_row():
    rows = re.findall(r"^\| ([A-Z]+) \|", PAGE, re.MULTILINE)
    assert sorted(rows) == sorted(VERDICTS)


def test_what_is_not_gated_is_said():
    for name in set(BY_NAME) - set(GATED):
        assert f"`{name}`" in PAGE


def test_commands_exist():
    assert {"gate", "baseline", "aa"} <= set(plugins.names("commands"))
