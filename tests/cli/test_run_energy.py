"""Options of ``hilbench run`` for boards with a power meter: what they mean, what is refused."""

from __future__ import annotations

import argparse

import pytest

from hilbench.bench.energy import EnergyRequest
from hilbench.cli.commands import run


@pytest.fixture
def parse(capsys):
    parser = argparse.ArgumentParser(prog="hilbench run")
    run.add_arguments(parser)

    def parse(*words):
        return parser.parse_args(["suite.toml", *words])

    return parse


def test_nothing_said_is_what_the_library_takes(parse):
    args = parse()
    assert run._energy(args) == EnergyRequest()
    assert args.abba is None


def test_every_option_is_heard(parse):
    args = parse(
        *("--energy-target", "0.5%", "--energy-limit", "60", "--mlperf", "--energy-operators"),
        *("--full-trace", "--abba", "dense", "pruned"),
    )
    assert run._energy(args) == EnergyRequest(
        target=0.005, time_limit_s=60.0, mlperf=True, operators=True, full_trace=True
    )
    assert args.abba == ["dense", "pruned"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ("--energy-target", "0"),
            "argument --energy-target: '0' is no share above 0 and below 1, e.g. 0.5%",
        ),
        (
            ("--energy-target", "100%"),
            "argument --energy-target: '100%' is no share above 0 and below 1, e.g. 0.5%",
        ),
        (
            ("--energy-limit", "-1"),
            "argument --energy-limit: '-1' is no time in s above 0, e.g. 300",
        ),
        (
            ("--energy-limit", "nan"),
            "argument --energy-limit: 'nan' is no time in s above 0, e.g. 300",
        ),
        (
            ("--energy-limit", "1min"),
            "argument --energy-limit: '1min' is no time in s above 0, e.g. 300",
        ),
    ],
)
def test_what_is_no_share_and_no_time(words, sentence, parse, capsys):
    with pytest.raises(SystemExit):
        parse(*words)
    assert sentence in capsys.readouterr().err
