"""hilbench duty: a run's energy as a duty cycle, with numbers worked out by hand."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from hilbench.cli import main
from hilbench.runs.journal import Journal
from tests.runs import run_examples as ex

SYNTHETIC = "SYNTHETIC: emulated or assumed currents, nothing here was measured on a chip"


def run_of(results, source):
    """m4 int8 counts instructions; native int8 takes 2 ms and 30 uJ; m4 fp32 was refused."""
    journal = Journal.create(results, ex.PROVENANCE)
    journal.append(ex.BOARD)
    journal.append(ex.VARIANT)
    for number in (1, 2, 3):
        journal.append(ex.session(number))
    journal.append(ex.CELL_ERROR)
    journal.append(ex.NATIVE_BOARD)
    journal.append(replace(ex.VARIANT, board="native"))
    for number in (1, 2, 3):
        journal.append(
            ex.session(
                number, 2e6, board="native", clock=ex.NATIVE_CLOCK, energy_uj=30.0,
                energy_source=source,
            )
        )  # fmt: skip
    journal.end("complete")
    return journal.folder


@pytest.fixture
def duty(tmp_path, capsys, monkeypatch):
    """Run the command on such a run; returns exit code, lines of stdout, stderr."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*args, source="ppk2"):
        folder = run_of(tmp_path / source, source)
        code = main(["duty", str(folder), *args])
        out = capsys.readouterr()
        return code, [" ".join(line.split()) for line in out.out.splitlines()], out.err, folder

    return run


def test_numbers_by_hand(duty):
    """3.3 V * 2 uA = 6.6 uW asleep; at 1/s 30 uW + 0.998 * 6.6 uW = 36.587 uW."""
    code, lines, _, _ = duty("--sleep-ma", "0.002")
    assert code == 0
    rows = [line.split() for line in lines if line.startswith("native int8 ppk2")]
    assert [row[3] for row in rows] == ["0.01", "0.1", "1", "10"]
    assert [row[4:7] for row in rows] == [
        ["6.900", "uW", "yes"],
        ["9.599", "uW", "yes"],
        ["36.59", "uW", "yes"],
        ["306.5", "uW", "yes"],
    ]
    # 0.225 Ah * 3 V / 36.587 uW = 2.105 years, less what the cell loses by itself, 1 % a year
    assert " 2.08 years " in next(line for line in lines if " 1 36.59 uW" in line)
    # (1 mW - 6.6 uW) / (30 uJ - 6.6 uW * 2 ms) = 33.13 /s
    assert (
        "native int8: below 1 mW up to 33.1 inferences/s; 30 uJ and 2000 us an inference, asleep "
        "2.000 uA (as --sleep-ma says)"
    ) in lines
    assert not any("SYNTHETIC" in line for line in lines)


def test_synthetic_energy_says_so_across_the_table(duty):
    code, lines, _, _ = duty("--sleep-ma", "0.002", source="synthetic")
    assert code == 0
    across = [k for k, line in enumerate(lines) if SYNTHETIC in line]
    rows = [k for k, line in enumerate(lines) if line.startswith("native int8 SYNTHETIC")]
    assert len(across) == 2
    assert len(rows) == 4
    assert across[0] < rows[0] < rows[-1] < across[1]
    assert any(line.startswith("SYNTHETIC native int8: below 1 mW") for line in lines)


def test_what_has_no_duty_cycle_says_why(duty):
    _, lines, _, _ = duty("--sleep-ma", "0.002")
    assert (
        "m4 int8: no duty cycle: its time base counts instructions, which are not a time" in lines
    )
    assert any(re.match("m4 fp32: no duty cycle: ModelTooLargeError: needs 9", x) for x in lines)


def test_an_unknown_sleep_current_is_no_zero(duty):
    code, lines, err, folder = duty("--board", "native", "--variant", "int8")
    assert (code, lines) == (3, [])
    assert err == (
        f"hilbench: {folder} has nothing for a duty cycle: native int8: its sleep current was not "
        "measured; say one: --sleep-ma\n"
    )


def test_nothing_at_all(duty):
    code, _, err, folder = duty("--board", "m4", "--sleep-ma", "1")
    assert code == 3
    assert err == (
        f"hilbench: {folder} has nothing for a duty cycle: m4 int8: its time base counts "
        "instructions, which are not a time, and 1 more\n"
    )


def test_json(duty):
    code, lines, _, _ = duty("--sleep-ma", "0.002", "--rate", "1", "--rate", "20", "--json")
    assert code == 0
    found = json.loads("\n".join(lines))
    (cell,) = found["cells"]
    assert (cell["board"], cell["sleep_ma"], cell["sleep_from"]) == (
        "native", 0.002, "as --sleep-ma says",
    )  # fmt: skip
    points = cell["duty"]["points"]
    assert [p["rate_hz"] for p in points] == [1.0, 20.0]
    assert points[0]["average_w"] == pytest.approx(36.5868e-6)
    assert {r["board"] for r in found["refused"]} == {"m4", "native"}


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("--rate", "600"), "native int8: 600 inferences/s of 2 ms keep the board busy for 120 %"),
        (("--board", "m5"), "no board 'm5' in .*; it has: m4, native"),
        (("--variant", "x"), "no variant 'x' in .*; it has: int8, fp32"),
        (("--sleep-ma", "-1"), "native int8: sleep current is -0.001 A, limit >= 0 A"),
    ],
)
def test_usage_errors(duty, args, sentence):
    code, _, err, _ = duty("--sleep-ma", "0.002", *args)
    assert code == 2
    assert re.match(f"hilbench: {sentence}", err), err
