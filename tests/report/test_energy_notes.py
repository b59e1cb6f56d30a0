"""What the table says of energy: where it comes from, and what it is not."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from hilbench.report.terminal import print_run
from hilbench.runs import Journal
from hilbench.runs.schema import EnergyRecord
from tests.runs import run_examples as ex

SYNTHETIC = (
    "uJ: SYNTHETIC, a constant current of boards.toml times the board's own clock; nothing was "
    "measured."
)


def energy(meter, *, net=True, warnings=""):
    """Return what a meter makes of 402.7 uJ."""
    numbers = {"energy_absolute_uj": 48.9, "energy_net_uj": 223.9, "energy_net_absolute_uj": 67.8}
    reason = "" if net else "idle is 97.0 % of gross, limit 95 %"
    texts = {"energy_meter": meter, "energy_net_reason": reason, "energy_warnings": warnings}
    return EnergyRecord(
        numbers=numbers if net else {"energy_absolute_uj": 48.9},
        texts=texts,
        range_energy_uj=(402.7,),
        range_us=(9000.0,),
    )


@pytest.fixture
def page(tmp_path):
    """Print a run of one session for each board; returns what it says."""

    def page(**changes_of_board):
        cells = tuple((board, "int8") for board in changes_of_board)
        run = replace(ex.PROVENANCE, cells=cells, sessions=1)
        journal = Journal.create(tmp_path / "results", run)
        for board, changes in changes_of_board.items():
            journal.append(replace(ex.BOARD, board=board))
            journal.append(replace(ex.VARIANT, board=board))
            journal.append(ex.session(1, board=board, **changes))
        journal.end("complete")
        out = io.StringIO()
        print_run(journal.folder, Console(file=out, width=220))
        return " ".join(out.getvalue().split())  # lines are as wide as the table

    return page


def test_an_estimate_says_that_nothing_was_measured(page):
    text = page(m4={})
    assert SYNTHETIC in text
    assert " ± " not in text
    assert "net uJ" not in text


def test_an_instrument_is_named_with_its_interval(page):
    real = {"energy_source": "PPK2 C0FFEE", "energy_uj": 402.7}
    text = page(lab=real | {"energy": energy("PPK2 HW 1 C0FFEE")})
    assert "SYNTHETIC" not in text
    assert "402.7 ± 48.90" in text
    assert "net uJ" in text
    assert "223.9 ± 67.80" in text
    assert (
        "uJ of lab: by PPK2 HW 1 C0FFEE; gross of one inference ± 95 % interval, net less idle."
    ) in text


def test_an_emulated_instrument_measures_no_chip(page):
    text = page(uno={"energy_uj": 402.7, "energy": energy("PPK2 (emulated)")})
    assert (
        "SYNTHETIC uJ of uno: by PPK2 (emulated); gross of one inference ± 95 % interval, net less "
        "idle; the current is what boards.toml says, not a chip's."
    ) in text
    assert SYNTHETIC not in text  # that is of boards without samples


def test_each_meter_has_its_boards(page):
    real = {"energy_source": "PPK2 1", "energy": energy("PPK2 1")}
    text = page(m4={}, lab=real, shelf=real, rack=real | {"energy": energy("PPK2 2")})
    assert SYNTHETIC in text
    assert "uJ of lab, shelf: by PPK2 1;" in text
    assert "uJ of rack: by PPK2 2;" in text


def test_what_a_person_should_know_stands_below_the_table(page):
    real = {"energy_source": "PPK2 1", "energy": energy("PPK2 1", net=False, warnings="a probe")}
    text = page(lab=real, shelf=real)
    assert "energy of lab, shelf: a probe" in text
    assert "no net energy of lab int8, shelf int8: idle is 97.0 % of gross, limit 95 %" in text
    assert "net uJ" not in text
