"""hilbench meter capture: what it powers, what it keeps, how it ends."""

from __future__ import annotations

import io
import re
import signal

import numpy as np
import pytest
from rich.console import Console

from hilbench.board import locks
from hilbench.board.capture import LiveFigures
from hilbench.cli import main
from hilbench.cli.console import PipeConsole
from hilbench.cli.metering import capture, display, files, instruments, request
from hilbench.config import load_boards
from hilbench.recordings import load_evidence
from tests.cli import fake_meter
from tests.cli.fake_meter import Driver, FakeMeter

SUPPLIED = ("--supply", "3.3", "--supplies", "--supply-max", "3.6")


@pytest.fixture
def run(monkeypatch, capsys):
    """Run capture with a fake meter; returns exit code, stdout lines, stderr, diary."""
    monkeypatch.setenv("COLUMNS", "200")

    def go(*args, meter=None):
        meter = FakeMeter() if meter is None else meter
        monkeypatch.setattr(instruments, "sampling_drivers", lambda: {"fake": Driver(meter)})
        code = main(["meter", "capture", "--driver", "fake", "--port", "/dev/fake", *args])
        out = capsys.readouterr()
        return code, [" ".join(x.split()) for x in out.out.splitlines()], out.err, meter.diary

    return go


def test_in_series_nothing_is_powered(run, tmp_path):
    path = tmp_path / "t.npz"
    code, lines, err, diary = run("--supply", "3.3", "--duration", "0.2", "-o", str(path))
    assert (code, err) == (0, "")
    assert diary == [("configure", 3.3, False, ()), "start", "stop", "close"]
    assert lines[0] == (
        "F1 0042 at /dev/fake, EMULATED: powers nothing; the board's 3.3 V are as declared"
    )
    assert f"saved: {path}" in lines
    kept = load_evidence(path)
    assert kept.end.samples >= 2_000  # as long as asked, by the meter's own clock
    assert kept.identity == fake_meter.IDENTITY
    current = np.concatenate([c.current_a for c in kept.chunks()])
    np.testing.assert_array_equal(current, fake_meter.chunk(0, len(current)).current_a)


def test_an_impatient_ctrl_c_leaves_no_supply_on(run):
    """An LPM01A goes on supplying when its port is closed without a word."""

    class Slow(FakeMeter):
        def close(self):
            for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.raise_signal(ending)
            super().close()

    before = signal.getsignal(signal.SIGINT)
    code, lines, _, diary = run(*SUPPLIED, "--duration", "0.1", meter=Slow())
    assert (code, diary[-1]) == (0, "close")
    assert "supply: off" in lines
    assert signal.getsignal(signal.SIGINT) is before


def test_the_supply_is_on_for_the_capture_only(run):
    code, lines, _, diary = run(*SUPPLIED, "--duration", "0.1", "--arg", "filter=vendor")
    assert code == 0
    assert diary == [
        ("configure", 3.3, True, (("filter", "vendor"),)), "on", "start", "stop", "close",
    ]  # fmt: skip
    assert lines[0].endswith("EMULATED: supplies the board with 3.3 V")
    assert "supply: off" in lines


def test_figures_by_hand(run):
    """12 mA for a quarter of the time, 2 mA for the rest: 4.5 mA, 14.85 mW."""
    _, lines, _, _ = run("--supply", "3.3", "--duration", "0.2")
    assert "current mean 4.500 mA, min 2.000 mA, max 12.00 mA" in lines
    assert "power mean 14.85 mW at 3.3 V (set, not measured)" in lines
    assert "lost 0" in lines
    assert "range 0 100 % of the time, 100 % of the charge; to 50.00 mA, one code 1.000 uA" in lines
    assert "rate by the host's clock +0 ± 10 ppm from its own" in lines
    assert "note SYNTHETIC: an emulated meter; this says nothing about a chip" in lines


def test_ctrl_c_ends_the_capture_and_keeps_it(run, tmp_path, monkeypatch):
    class Interrupted(capture._Length):
        def __call__(self, figures):
            super().__call__(figures)
            if figures.samples >= 3_000:
                self.reached.wait = self._interrupt

        def _interrupt(self, _timeout_s):
            raise KeyboardInterrupt

    monkeypatch.setattr(capture, "_Length", Interrupted)
    path = tmp_path / "t.npz"
    code, lines, err, diary = run(*SUPPLIED, "-o", str(path))
    assert (code, err) == (130, "")
    assert diary[-3:] == ["start", "stop", "close"]
    assert load_evidence(path).end.samples >= 3_000
    assert lines[-1] == "interrupted: the capture was ended, what it had is saved"


def test_a_meter_that_is_unplugged_leaves_no_file_and_no_supply(run, tmp_path):
    path = tmp_path / "t.npz"
    code, _, err, diary = run(*SUPPLIED, "-o", str(path), meter=FakeMeter(fault=1_000))
    assert code == 3
    assert err == "hilbench: meter F1 at /dev/fake: unplugged after 1,000 samples; plug it in\n"
    assert diary[-1] == "close"
    assert not path.exists()


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (
            (),
            "--supply V is missing: energy is voltage times charge; say the board's supply, e.g. "
            "--supply 3.3",
        ),
        (
            ("--supply", "3.3", "--supplies"),
            "--supplies makes the meter power the board: add --supply-max V, the highest voltage "
            "that the board bears",
        ),
        (
            ("--supply", "5", "--supplies", "--supply-max", "3.6"),
            "--supply 5 V is above --supply-max 3.6 V; nothing was powered",
        ),
        (
            ("--supply", "3.3", "--supply-max", "3.6"),
            "--supply-max belongs to --supplies: without it the meter powers nothing; drop the "
            "one or add the other",
        ),
        (
            ("--supply", "nan", "--supplies", "--supply-max", "3.6"),
            "--supply is nan V, must be above 0 V",
        ),
        (
            ("--supply", "3.3", "--supplies", "--supply-max", "nan"),
            "--supply 3.3 V is above --supply-max nan V; nothing was powered",
        ),
        (("--supply", "-1"), "--supply is -1 V, must be above 0 V"),
        (("--supply", "3.3", "--duration", "0"), "--duration is 0 s, must be above 0 s"),
        (("--supply", "3.3", "--arg", "x"), "--arg x: is not KEY=VALUE"),
    ],
)
def test_a_supply_is_refused_before_it_is_touched(run, args, sentence):
    code, _, err, diary = run(*args)
    assert (code, err) == (2, f"hilbench: {sentence}\n")
    assert diary == []


def test_where_it_goes_is_checked_before_the_capture(run, tmp_path, monkeypatch):
    there = tmp_path / "t.npz"
    there.write_text("precious")
    absent = tmp_path / "no" / "t.npz"
    sentences = {
        ("-o", str(there)): f"{there} exists; move it away or name another file",
        ("--plot", str(there)): f"{there} exists; move it away or name another file",
        ("-o", str(absent)): f"{absent}: there is no folder {absent.parent}; make it first",
        ("-o", f"{tmp_path}/t.xyz"): (
            f"{tmp_path}/t.xyz: its ending is none of .npz, .jls, .csv; use one, or say --format"
        ),
        ("--plot", f"{tmp_path}/t.bmp"): (
            f"{tmp_path}/t.bmp: a plot ends in .png or .svg; name it so"
        ),
    }
    for args, sentence in sentences.items():
        code, _, err, diary = run("--supply", "3.3", "--duration", "0.1", *args)
        assert (code, err, diary) == (2, f"hilbench: {sentence}\n", [])
    monkeypatch.setattr(files.importlib.util, "find_spec", lambda _name: None)
    for args, package, extra in (
        (("-o", f"{tmp_path}/t.jls"), "pyjls", "joulescope"),
        (("-o", f"{tmp_path}/t", "--format", "jls"), "pyjls", "joulescope"),
        (("--plot", f"{tmp_path}/t.png"), "matplotlib", "plots"),
    ):
        code, _, err, diary = run("--supply", "3.3", "--duration", "0.1", *args)
        assert code == 3
        assert err == f'hilbench: {args[1]}: needs {package}: pip install "hilbench[{extra}]"\n'
        assert diary == []
    assert there.read_text() == "precious"


BOARDS = """
schema = 1
[board.desk]
firmware = "posix"
serial = "/dev/ttyNone9"
supply_v = 3.0
supply_max_v = {ceiling}
meter = {{ driver = "{driver}", serial = "/dev/fake", supplies = true, args = {{ filter = "vendor" }} }}
[board.plain]
firmware = "posix"
emulator = "native"
[board.emu]
firmware = "posix"
emulator = "native"
supply_v = 3.0
meter = {{ driver = "ppk2", emulator = "ppk2", marker = "D0" }}
current = {{ idle_ma = 1.0, active_ma = 2.0 }}
"""


@pytest.fixture
def by_table(tmp_path, monkeypatch, capsys):
    """Capture with a boards file; returns exit code, stdout lines, stderr, diary."""
    meter = FakeMeter()
    known = {"ppk2": Driver(meter)}
    monkeypatch.setattr(instruments, "sampling_drivers", lambda: known)
    monkeypatch.setattr(request, "sampling_drivers", lambda: known)
    monkeypatch.setattr(locks.tempfile, "gettempdir", lambda: str(tmp_path))

    def go(*args, ceiling=3.6, driver="ppk2"):
        file = tmp_path / "boards.toml"
        file.write_text(BOARDS.format(ceiling=ceiling, driver=driver))
        code = main(["meter", "capture", "--boards", str(file), "--duration", "0.1", *args])
        out = capsys.readouterr()
        return code, out.out.splitlines(), out.err.replace(str(file), "FILE"), meter.diary

    return go


def test_a_board_says_its_meter_and_supply(by_table):
    code, lines, err, diary = by_table("--board", "desk")
    assert (code, err) == (0, "")
    assert diary == [
        ("configure", 3.0, True, (("filter", "vendor"),)), "on", "start", "stop", "close",
    ]  # fmt: skip
    assert "supply: off" in lines


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (
            ("--board", "desk", "--supply", "3"),
            "--supply goes with --driver; of board desk its table says that: leave it out",
        ),
        (
            ("--board", "plain"),
            'board plain: meter = "none" is no instrument; say one in [board.plain.meter]',
        ),
        (
            ("--board", "emu"),
            "board emu: its meter is emulated and runs only beside the board: hilbench run; "
            "docs/energy.md says how to start one alone",
        ),
        (("--board", "no"), "no board 'no' in FILE; it has: desk, plain, emu"),
    ],
)
def test_a_board_that_cannot(by_table, args, sentence):
    assert by_table(*args) == (2, [], f"hilbench: {sentence}\n", [])


def test_a_boards_ceiling_holds_here_too(by_table):
    code, _, err, diary = by_table("--board", "desk", ceiling=2.5)
    assert (code, diary) == (2, [])
    assert err == (
        "hilbench: FILE: [board.desk] supply_v = 3 is above supply_max_v = 2.5; correct one of "
        "them before anything is powered\n"
    )


def test_a_board_that_somebody_uses_is_not_powered(by_table, tmp_path):
    file = tmp_path / "boards.toml"
    file.write_text(BOARDS.format(ceiling=3.6, driver="ppk2"))
    with locks.board_lock(load_boards(file)["desk"], 1.0, lambda _line: None):
        code, _, err, diary = by_table("--board", "desk", "--timeout", "0.2")
    assert (code, diary) == (3, [])
    assert re.fullmatch(
        r"hilbench: board desk: held by process \d+ \(.*\) since .*; waited 0\.2 s; end that "
        r"process or try again later\n",
        err,
    ), err


def test_driver_or_board(capsys):
    for args in ([], ["--driver", "ppk2", "--board", "x"]):
        with pytest.raises(SystemExit) as exit_info:
            main(["meter", "capture", *args])
        assert exit_info.value.code == 2
    assert "not allowed with argument" in capsys.readouterr().err


def figures(elapsed_s, samples, lost=0):
    return LiveFigures(elapsed_s, samples, lost, samples / elapsed_s, 6.7512e-3, 22.279e-3)


def test_a_pipe_gets_a_line_a_second():
    text = io.StringIO()
    with display.live(Console(file=text, width=40), 1_000.0, 10.0) as show:
        for k in range(1, 41):
            show(figures(0.1 * k, 100 * k, lost=2 * (k == 40)))
    lines = [line.split("  ") for line in text.getvalue().splitlines()]
    assert [line[0] for line in lines] == [
        f"t {t} of 10 s" for t in ("0.1", "1.0", "2.0", "3.0", "4.0")
    ]
    assert lines[1][1:4] == ["current 6.751 mA", "power 22.28 mW", "samples 1,000"]
    assert lines[0][4] == "rate -"
    assert lines[3][4] == "rate 1.000 kS/s"
    assert lines[-1][5] == "lost 2 (0.05 %)"


def test_the_rate_is_of_the_last_seconds():
    """A driver that holds back its first second has lost nothing; a gap later on shows."""
    line = display._Line(1_000.0, None)
    rates = [dict(line.cells(figures(t, n)))["rate"] for t, n in
             ((1.0, 400), (2.0, 2_000), (3.0, 3_000), (4.0, 4_000), (5.0, 4_500))]  # fmt: skip
    assert rates == ["-", "-", "1.300 kS/s", "1.000 kS/s", "750.0 S/s"]


def test_a_terminal_gets_figures_in_place():
    text = io.StringIO()
    console = Console(file=text, width=100, force_terminal=True)
    with display.live(console, 1_000.0, None) as show:
        show(figures(1.0, 1_000, lost=3))
    out = text.getvalue()
    assert "6.751 mA" in out
    assert "3 (0.3 %)" in out
    assert "Ctrl-C" in out


def test_a_reader_that_leaves_does_not_end_the_capture():
    class Closed(io.StringIO):
        def write(self, _text):
            raise BrokenPipeError

    with display.live(PipeConsole(file=Closed()), 1_000.0, None) as show:
        show(figures(1.0, 1_000))
        show(figures(2.0, 2_000))


def test_nothing_measured_is_said(run):
    class Nothing(FakeMeter):
        def read(self, timeout_s):
            chunk = super().read(timeout_s)
            chunk.current_a[:] = 1e-6
            return chunk

    _, lines, _, _ = run("--supply", "3.3", "--duration", "0.1", meter=Nothing())
    assert "note 1.000 uA cannot be told from none: has the board power, is it wired?" in lines
