"""docs/energy.md speaks of columns, options and components that there are."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from hilbench import plugins
from hilbench.cli import parser
from hilbench.cli.commands import duty, meter
from hilbench.measurement.power.budget import COMPONENTS
from hilbench.runs.columns import COLUMNS

PAGE = (Path(__file__).parents[2] / "docs" / "energy.md").read_text()


def commands(text):
    """Return the command lines of a text, without what explains them, lines joined."""
    joined = text.replace("\\\n", " ")
    lines = [line.strip() for line in joined.splitlines()]
    return [re.split(r"\s{3,}", line)[0] for line in lines if line.startswith("hilbench ")]


@pytest.mark.parametrize(
    "line", [*commands(PAGE), *commands(duty.EXAMPLES), *commands(meter.EXAMPLES)]
)
def test_every_command_is_understood(line):
    words = shlex.split(re.sub(r"\s+", " ", line))
    parser().parse_args(words[1:])


def test_every_column_exists():
    known = {c.name for c in COLUMNS}
    named = set(re.findall(r"`(energy_[a-z0-9_]+)`", PAGE))
    assert len(named) > 10
    assert named <= known
    for group in ("energy_u_{}", "energy_net_u_{}"):
        assert {group.format(name) for name in COMPONENTS} <= known


def test_every_component_is_explained():
    explained = set(re.findall(r"^\| `([a-z_]+)` \|.*\| (?:adds|averages)", PAGE, re.MULTILINE))
    assert explained == {name.removesuffix("_uj") for name in COMPONENTS}


def test_every_driver_is_in_the_table():
    rows = set(re.findall(r"^\| `([a-z0-9]+)` \| .*(?:\|.*){4}\|$", PAGE, re.MULTILINE))
    assert set(plugins.names("power")) - {"none", "synthetic"} <= rows
