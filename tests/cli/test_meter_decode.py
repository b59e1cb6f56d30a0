"""hilbench meter decode: figures, marker windows, exports, the vendor's filter."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from hilbench import plugins
from hilbench.cli import main
from hilbench.power import CaptureEnd, Gap, Marked, MeterSetup, Window
from hilbench.recordings import InMemory, load_evidence, write_evidence
from tests.cli import fake_meter as fake

SAMPLES = 2_000  # D1 is high in [20 + 200 k, 70 + 200 k): 10 whole pulses of 5 ms
V = 3.3
BIASED = "note range switches as the vendor's filter shows them: short windows are biased"
SETUP = MeterSetup(V, supplies=True)


def recorded(tmp_path, chunks, spec=fake.SPEC, end=None):
    path = tmp_path / "t.npz"
    write_evidence(path, InMemory(fake.IDENTITY, spec, SETUP, chunks, end), (), None)
    return path


@pytest.fixture
def trace(tmp_path):
    return recorded(tmp_path, [fake.chunk(0, SAMPLES)])


@pytest.fixture
def decode(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")

    def run(*args):
        code = main(["meter", "decode", *map(str, args)])
        out = capsys.readouterr()
        return code, [" ".join(x.split()) for x in out.out.splitlines()], out.err

    return run


def test_figures_and_windows_by_hand(decode, trace):
    """12 mA for 5 ms: 60 uC, at 3.3 V 198 uJ."""
    code, lines, err = decode(trace, "--marker", "D1")
    assert (code, err) == (0, "")
    assert "duration 200.0 ms at 10.00 kHz" in lines
    assert "current mean 4.500 mA, min 2.000 mA, max 12.00 mA" in lines
    assert "charge 900.0 uC" in lines
    assert "energy 2.970 mJ" in lines
    assert "windows of D1: 10" in lines
    rows = [line for line in lines if line.endswith(" 12.00 mA 60.00 uC 198.0 uJ 0")]
    assert rows[0] == "0 0.002000 s 5.000 ms 12.00 mA 12.00 mA 60.00 uC 198.0 uJ 0"
    assert len(rows) == 10
    assert "together: 50.00 ms, 600.0 uC, 1.980 mJ; mean of a window: 60.00 uC, 198.0 uJ" in lines
    assert lines[-1].startswith("corrected for the tail between board and meter: time constant be")


def test_json_has_everything_in_si_units(decode, trace):
    code, lines, _ = decode(trace, "--marker", "D1", "--json")
    assert code == 0
    found = json.loads("\n".join(lines))
    assert found["charge_c"] == pytest.approx(900e-6)
    assert found["energy_j"] == pytest.approx(2.97e-3)
    assert (found["lost"], found["samples"], found["missing"]) == (0, SAMPLES, 0)
    assert found["range_time"] == [1.0]
    assert found["identity"]["serial_number"] == "0042"
    windows = found["windows"]
    assert [w["start_s"] for w in windows] == pytest.approx([0.002 + 0.02 * k for k in range(10)])
    assert [w["charge_c"] for w in windows] == pytest.approx([60e-6] * 10)
    assert "windows" not in json.loads("\n".join(decode(trace, "--json")[1]))


def test_what_nobody_knows_is_null(decode, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("current_ma\n" + "0\n" * 100)
    code, lines, _ = decode(path, "--rate", "1000", "--supply", "3", "--json")
    assert code == 0
    found = json.loads("\n".join(lines), parse_constant=pytest.fail)
    assert found["range_charge"] == [None]  # no charge, no shares
    assert found["rate_hz"] is None


def test_pulses_that_are_not_whole_are_left_out(decode, tmp_path):
    """From the middle of one pulse to the middle of another, and a bounce of 1 sample between."""
    chunk = fake.chunk(40, 1_000)
    logic = chunk.logic.copy()
    logic[100] = 2
    path = recorded(tmp_path, [replace(chunk, start=0, logic=logic)])
    _, lines, _ = decode(path, "--marker", "D1", "--debounce", "150")
    assert "windows of D1: 4" in lines
    assert "ignored as bounces: 1 pulses shorter than --debounce" in lines
    assert "left out: the first pulse began before the capture" in lines
    assert "left out: the last pulse had not ended" in lines


def test_a_marker_that_never_moves(decode, trace):
    code, lines, _ = decode(trace, "--marker", "D0")
    assert (code, lines[-1]) == (0, "windows of D0: 0")


def test_more_windows_than_a_screen(decode, tmp_path):
    path = recorded(tmp_path, [fake.chunk(0, 5_000)])
    _, lines, _ = decode(path, "--marker", "D1")
    assert "and 5 more: --json has all" in lines
    assert len(json.loads("\n".join(decode(path, "--marker", "D1", "--json")[1]))["windows"]) == 25


def test_lost_samples_are_said_and_not_filled(decode, tmp_path):
    chunk = fake.chunk(0, SAMPLES)
    valid = np.ones(SAMPLES, bool)
    valid[100:164] = False
    end = CaptureEnd(
        SAMPLES - 64, 64, (Gap(100, 64, "counter"),), 10_001.0, 1e-5, ("twice", "twice", "once")
    )
    lost = replace(chunk, current_a=np.where(valid, chunk.current_a, np.nan), valid=valid)
    _, lines, _ = decode(recorded(tmp_path, [lost], end=end))
    assert "lost 64 (3.2 %) in 1 gap, known by: counter" in lines
    assert "charge 887.2 uC" in lines  # 64 samples of 2 mA are missing
    assert "note twice (2 times)" in lines
    assert "note once" in lines
    assert (
        "note charge and energy are of delivered samples; nothing stands in for lost ones" in lines
    )
    assert "rate by the host's clock +100 ± 10 ppm from its own" in lines


@pytest.mark.parametrize(
    ("lost", "line"),
    [
        (0, "lost 0; of 128 more nobody can tell"),
        (64, "lost 64 (3.2 %) in 1 gap, known by: counter; of 128 more nobody can tell"),
    ],
)
def test_what_may_be_lost_is_not_told_as_none(decode, tmp_path, lost, line):
    chunk = fake.chunk(0, SAMPLES)
    valid = np.ones(SAMPLES, bool)
    valid[100 : 100 + lost] = False
    gaps = (Gap(100, lost, "counter"),) if lost else ()
    end = CaptureEnd(SAMPLES - lost, lost, gaps, None, None, uncertain=128)
    seen = replace(chunk, current_a=np.where(valid, chunk.current_a, np.nan), valid=valid)
    path = recorded(tmp_path, [seen], end=end)
    assert line in decode(path)[1]
    assert json.loads("\n".join(decode(path, "--json")[1]))["uncertain"] == 128


def test_evidence_of_windows_says_that_the_rest_was_not_kept(decode, tmp_path):
    path = tmp_path / "w.npz"
    chunks = [fake.chunk(k * 400) for k in range(50)]
    windows = [
        Window(Marked("run", 4, 0.005, 1e-6), 10_020.0, 10_070.0, "gpio", 0.29),
        Window(Marked("idle", 0, 0.01, 1e-6), 10_100.0, 10_200.0, "gpio", 0.29),
    ]
    write_evidence(path, InMemory(fake.IDENTITY, fake.SPEC, SETUP, chunks), windows)
    kept = sum(int(c.valid.sum()) for c in load_evidence(path).chunks())
    _, lines, _ = decode(path)
    assert kept < 20_000
    assert f"samples {kept:,} kept of 20,000; what follows is of these alone" in lines
    assert "lost 0" in lines
    # The board told what they were: 198 uJ over 4 inferences; 2 mA in idle.
    assert "windows of the run: 2" in lines
    assert "0 run of 4 1.002000 s 5.000 ms 12.00 mA 12.00 mA 60.00 uC 198.0 uJ 49.50 uJ 0" in lines
    assert "1 idle 1.010000 s 10.00 ms 2.000 mA 2.000 mA 20.00 uC 66.00 uJ - 0" in lines
    assert (
        "runs together: 5.000 ms, 60.00 uC, 198.0 uJ; of 4 inferences each: 49.50 uJ, with "
        "whatever the harness did in the windows"
    ) in lines
    found = json.loads("\n".join(decode(path, "--json")[1]))
    assert [w["what"] for w in found["windows"]] == ["run of 4", "idle"]


def vendor_chunk():
    """A capture whose meter has a filter of its own: 10 % less in every pulse."""
    chunk = fake.chunk(0, SAMPLES)
    return replace(chunk, vendor_a=np.where(chunk.logic > 0, 0.9, 1.0) * chunk.current_a)


@pytest.fixture
def with_vendor(monkeypatch, tmp_path):
    recording = InMemory(fake.IDENTITY, fake.SPEC, SETUP, [vendor_chunk()])

    class Replay:
        @staticmethod
        def open_recording(path, setup):
            return recording

    load = plugins.load
    monkeypatch.setattr(
        plugins, "load", lambda kind, name: Replay if name == "replay" else load(kind, name)
    )
    (tmp_path / "t.ppk2").write_text("")
    return tmp_path / "t.ppk2"


def test_the_vendors_filter(decode, with_vendor):
    """Pulses of 10.8 mA for 12: 54 uC."""
    for args, charge in (((), "60.00 uC"), (("--filter", "hold-forward"), "60.00 uC"),
                         (("--filter", "vendor"), "54.00 uC")):  # fmt: skip
        _, lines, _ = decode(with_vendor, "--marker", "D1", *args)
        assert any(f"mean of a window: {charge}" in line for line in lines), lines
        assert (BIASED in lines) == ("vendor" in args)


def test_a_capture_through_the_vendors_filter_says_so(decode, tmp_path):
    path = tmp_path / "v.npz"
    setup = replace(SETUP, args=(("filter", "vendor"),))
    write_evidence(path, InMemory(fake.IDENTITY, fake.SPEC, setup, [fake.chunk(0)]), (), None)
    for args in ((), ("--filter", "vendor")):
        code, lines, _ = decode(path, *args)
        assert code == 0
        assert BIASED in lines
    assert decode(path, "--filter", "hold-forward") == (
        2, [],
        f"hilbench: --filter hold-forward: {path} was captured with filter = vendor and shows "
        "that; capture without it: then both can be seen\n",
    )  # fmt: skip


def test_usage_errors(decode, trace, tmp_path):
    there = tmp_path / "there.csv"
    there.write_text("")
    odd = tmp_path / "x.odd"
    odd.write_text("")
    sentences = {
        (tmp_path / "no.npz",): (
            f"{tmp_path}/no.npz: no such file; name what `hilbench meter capture -o` wrote"
        ),
        (trace, "--marker", "D9"): (f"--marker D9: no such logic input in {trace}; it has: D0, D1"),
        (trace, "--filter", "vendor"): (
            f"--filter vendor: {trace} is of a F1, which has no such filter; leave it out"
        ),
        (trace, "-o", there): f"{there} exists; move it away or name another file",
        (trace, "--arg", "x"): "--arg x: is not KEY=VALUE",
    }
    for args, sentence in sentences.items():
        assert decode(*args) == (2, [], f"hilbench: {sentence}\n")
    code, _, err = decode(odd)
    assert code == 2
    assert err.startswith(f"hilbench: {odd}: no file of samples by its ending; known: .npz")


def test_no_logic_inputs_at_all(decode, tmp_path):
    path = recorded(tmp_path, [fake.chunk(0)], spec=replace(fake.SPEC, logic_inputs=()))
    assert decode(path, "--marker", "D0") == (
        2, [], f"hilbench: --marker D0: no such logic input in {path}; it has none\n"
    )  # fmt: skip


def test_a_damaged_file_could_not_be_measured(decode, tmp_path):
    path = tmp_path / "t.npz"
    path.write_bytes(b"PK no")
    code, _, err = decode(path)
    assert code == 3
    assert err.startswith(f"hilbench: {path}: not whole evidence of hilbench")


def test_exports_hold_the_same_samples(decode, trace, tmp_path):
    for name in ("o.csv", "o.npz"):
        code, _, _ = decode(trace, "-o", tmp_path / name)
        assert code == 0
        supply = ("--supply", V) if name.endswith("csv") else ()
        _, lines, _ = decode(tmp_path / name, *supply, "--marker", "D1")
        assert "charge 900.0 uC" in lines
        assert any("mean of a window: 60.00 uC, 198.0 uJ" in line for line in lines)
    original, copy = load_evidence(trace), load_evidence(tmp_path / "o.npz")
    for a, b in zip(original.chunks(), copy.chunks(), strict=True):
        np.testing.assert_array_equal(a.current_a, b.current_a)


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_a_plot_is_drawn(decode, trace, tmp_path, kind):
    pytest.importorskip("matplotlib")
    path = tmp_path / f"p.{kind}"
    assert decode(trace, "--marker", "D1", "--plot", path)[0] == 0
    head = path.read_bytes()[:200]
    assert head.startswith(b"\x89PNG" if kind == "png" else b"<?xml")


def test_jls_opens_in_pyjls(decode, trace, tmp_path):
    pyjls = pytest.importorskip("pyjls")
    assert decode(trace, "-o", tmp_path / "o", "--format", "jls")[0] == 0
    with pyjls.Reader(str(tmp_path / "o")) as reader:
        assert "current" in [signal.name for signal in reader.signals.values()]


def test_a_table_without_a_voltage_needs_one(decode, tmp_path):
    path = tmp_path / "t.csv"
    rows = "".join(f"{2 if k % 10 else 12}\n" for k in range(1_000))
    path.write_text("current_ma\n" + rows)
    code, _, err = decode(path, "--rate", "1000")
    assert code == 2
    assert "holds no voltage" in err
    code, lines, _ = decode(path, "--rate", "1000", "--supply", "3")
    assert code == 0
    assert "duration 1.000 s at 1.000 kHz" in lines
    assert "power mean 9.000 mW at 3 V (declared, not measured)" in lines
    assert "range 0 100 % of the time, 100 % of the charge" in lines
    assert "rate not checked against another clock" in lines
