"""Bad input and failing boards: one line, the next step, the right exit code, nothing lost."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import psutil
import pytest
from rich.console import Console

import hilbench
from hilbench import bench as bench_module
from hilbench.bench import prepare as prepare_module
from hilbench.bench import run_suite
from hilbench.bench import runner as runner_module
from hilbench.bench.progress import Progress
from hilbench.errors import (
    BoardBusyError,
    BoardSilentError,
    ImageError,
    ModelTooLargeError,
    VectorError,
)
from hilbench.report.terminal import print_run
from tests.end_to_end.conftest import ZOO, need_image

pytestmark = pytest.mark.firmware


@pytest.fixture
def vectors(tmp_path):
    path = tmp_path / "v.npz"
    data = np.load(ZOO / "vectors.npz")
    np.savez(path, x=data["x"][:10], y=data["y"][:10])
    return path


def _one_line(process, code):
    """stderr is one line that starts with the program's name; returns it."""
    lines = process.stderr.strip().splitlines()
    assert process.returncode == code, process.stderr + process.stdout
    assert len(lines) == 1, process.stderr
    assert lines[0].startswith("hilbench: ")
    return lines[0]


def test_missing_model(cli, vectors, tmp_path):
    line = _one_line(cli("run", "no.tflite", "--vectors", vectors, "--board", "native"), 2)
    assert line == (
        "hilbench: no.tflite: cannot be read (No such file or directory); check the path"
    )


def test_corrupt_model(cli, vectors, tmp_path):
    broken = tmp_path / "broken.tflite"
    broken.write_bytes((ZOO / "mlp_int8.tflite").read_bytes()[:700])
    line = _one_line(cli("run", broken, "--vectors", vectors, "--board", "native"), 2)
    assert "broken.tflite" in line


def test_wrong_vector_shape(cli, tmp_path):
    path = tmp_path / "v.npz"
    np.savez(path, x=np.zeros((3, 7, 7, 1), np.float32), y=np.zeros(3))
    line = _one_line(cli("run", ZOO / "mlp_int8.tflite", "--vectors", path, "--board", "native"), 2)
    assert line == (
        "hilbench: vectors 'v': shape [n, 7, 7, 1], the model takes [n, 8, 8, 1] or [n, 64]; "
        "reshape x"
    )


def test_unknown_board(cli, vectors):
    line = _one_line(cli("run", ZOO / "mlp_int8.tflite", "--vectors", vectors, "--board", "m44"), 2)
    assert "boards.toml; it has: native, m3" in line
    assert line.startswith("hilbench: no board 'm44' in ")


def test_unknown_key_in_boards_file(cli, vectors, tmp_path):
    (tmp_path / "boards.toml").write_text(
        'schema = 1\n[board.a]\nfirmware = "posix"\nemulater = "native"\n'
    )
    line = _one_line(cli("run", ZOO / "mlp_int8.tflite", "--vectors", vectors, "--board", "a"), 2)
    assert "[board.a]" in line
    assert "'emulater'" in line
    assert "did you mean 'emulator'?" in line


def test_no_vectors_for_a_model(cli):
    line = _one_line(cli("run", ZOO / "mlp_int8.tflite", "--board", "native"), 2)
    assert line.endswith("needs test vectors: --vectors FILE.npz with x and y")


def test_missing_emulator_names_the_install_line(cli, vectors, tmp_path, monkeypatch):
    need_image("mps2-an386")
    tools = tmp_path / "bin"
    tools.mkdir()
    monkeypatch.setenv("PATH", str(tools))
    process = cli("run", ZOO / "mlp_int8.tflite", "--vectors", vectors, "--board", "m4")
    assert process.returncode == 3
    assert "apt-get install qemu-system-arm" in process.stdout


def test_model_too_large_says_needed_and_available(boards, zoo, tmp_path):
    need_image("posix")
    small = replace(boards["native"], emulator_args=(("pool_bytes", "65536"),))
    suite = replace(zoo, sessions=1, iterations=1)
    outcome = run_suite(suite, [small], results=tmp_path, limit=4)
    assert [type(e) for e in outcome.errors] == [ModelTooLargeError]
    assert "variant fp32 needs" in str(outcome.errors[0])
    assert "the board has 65,536; take a smaller variant or a larger board" in str(
        outcome.errors[0]
    )
    assert outcome.exit_code == 2
    frame = hilbench.load(outcome.folder).set_index("variant")
    assert frame["accuracy"].notna().sum() == len(zoo.variants) - 1  # the others were measured


def test_a_silent_board_costs_only_its_own_cells(boards, zoo, tmp_path):
    need_image("posix")
    master, slave = pty.openpty()
    silent = replace(
        boards["native"],
        id="silent",
        emulator=None,
        flasher=None,
        serial=os.ttyname(slave),
        timeouts=replace(boards["native"].timeouts, hello_s=0.5),
    )
    try:
        outcome = run_suite(
            replace(zoo, sessions=1, iterations=1),
            [silent, boards["native"]],
            results=tmp_path,
            limit=4,
        )
    finally:
        os.close(master)
        os.close(slave)
    assert [type(e) for e in outcome.errors] == [BoardSilentError]
    assert "board silent: no HELLO within 0.5 s" in str(outcome.errors[0])
    assert outcome.exit_code == 3
    frame = hilbench.load(outcome.folder)
    assert frame.loc[frame["board"] == "native", "accuracy"].notna().all()
    assert frame.loc[frame["board"] == "silent", "accuracy"].isna().all()
    assert frame.loc[frame["board"] == "silent", "error"].str.contains("HELLO").all()


def test_another_image_is_refused(boards, zoo, tmp_path, monkeypatch):
    need_image("posix")
    real = runner_module.find_image
    monkeypatch.setattr(
        runner_module, "find_image", lambda port: replace(real(port), build_id="ab" * 20)
    )
    outcome = run_suite(zoo, [boards["native"]], results=tmp_path, limit=4)
    assert [type(e) for e in outcome.errors] == [ImageError]
    assert "abababababab (hilbench.elf of posix) was to be measured; flash it again" in str(
        outcome.errors[0]
    )
    assert outcome.exit_code == 3


def _firmware(board):
    """The firmware processes of a board below this one."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.environ().get("HILBENCH_BOARD") == board:
                found.append(process)
    return found


class KillAfterFirstVectors(Progress):
    """Kills the firmware of a board as soon as that board has vectors done."""

    def __init__(self, board):
        super().__init__()
        self._victim = board
        self.killed = 0

    def advance(self, board, vectors):
        super().advance(board, vectors)
        if board == self._victim and vectors and not self.killed:
            for process in _firmware(board):
                process.kill()
                self.killed += 1


@pytest.mark.parametrize(
    ("port", "board"),
    [("posix", "native"), pytest.param("mps2-an386", "m4", marks=pytest.mark.qemu)],
)
def test_a_board_that_dies_in_mid_run(port, board, boards, zoo, tmp_path):
    need_image(port)
    need_image("posix")
    other = replace(boards["native"], id="other")
    killer = KillAfterFirstVectors(board)
    started_s = time.monotonic()
    outcome = run_suite(
        replace(zoo, sessions=1, iterations=1),
        [boards[board], other],
        results=tmp_path,
        progress=killer,
        limit=20,
    )
    assert killer.killed
    assert outcome.exit_code == 3
    assert str(outcome.errors[0]).startswith(f"board {board}: ")
    assert "has died (killed by SIGKILL)" in str(
        outcome.errors[0]
    )  # the cause, not the silence that follows from it
    assert time.monotonic() - started_s < boards[board].timeouts.run_s  # not waited out
    frame = hilbench.load(outcome.folder).set_index("board")
    assert frame.loc["other", "accuracy"].notna().all()
    assert frame.loc[board, "accuracy"].isna().any()
    assert (frame.loc[board, "error"] != "").all() or frame.loc[board, "accuracy"].notna().any()
    assert not _firmware(board)
    assert not _firmware("other")


def test_second_process_is_told_who_holds_the_board(boards, zoo, tmp_path, monkeypatch):
    need_image("posix")
    from hilbench.board import life  # noqa: PLC0415
    from hilbench.board.locks import board_lock  # noqa: PLC0415

    monkeypatch.setattr(life, "LOCK_WAIT_S", 0.3)
    with board_lock(boards["native"], 1.0, print):
        outcome = run_suite(zoo, [boards["native"]], results=tmp_path, limit=4)
    assert [type(e) for e in outcome.errors] == [BoardBusyError]
    assert f"board native: held by process {os.getpid()} (" in str(outcome.errors[0])
    assert "waited 0.3 s; end that process or try again later" in str(outcome.errors[0])


def _children(pid):
    """The processes below a run; between two sessions the native board has none for a moment."""
    deadline = time.monotonic() + 10
    while not (found := psutil.Process(pid).children(recursive=True)):
        assert time.monotonic() < deadline, "the run has started no firmware"
    return found


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_leaves_a_readable_run_and_no_stray_firmware(how, boards_file, tmp_path):
    need_image("posix")
    process = subprocess.Popen(
        [
            sys.executable, "-m", "hilbench", "run", str(ZOO / "suite.toml"),
            "--board", "native", "--sessions", "500", "--boards", str(boards_file),
        ],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    journal = None
    while time.monotonic() < deadline:
        journals = list(tmp_path.glob("results/*/journal.jsonl"))
        if journals and journals[0].read_text().count('"kind": "session"') >= 2:
            journal = journals[0]
            break
        time.sleep(0.02)
    assert journal is not None, process.communicate(timeout=5)
    children = _children(process.pid)
    process.send_signal(how)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 130, output
    assert "interrupted: boards are off; what was measured is in" in output.replace("\n", " ")
    _, alive = psutil.wait_procs(children, timeout=5)
    assert not alive
    records = [json.loads(line) for line in journal.read_text().splitlines()]
    assert records[0]["kind"] == "provenance"
    assert records[-1]["kind"] == "end"
    assert records[-1]["state"] == "interrupted"
    assert not [r for r in records if r["kind"] == "error"]
    assert len(hilbench.load(journal.parent)) >= 1


def test_kill_leaves_a_readable_run_and_no_stray_firmware(boards_file, tmp_path):
    need_image("posix")
    process = subprocess.Popen(
        [
            sys.executable, "-m", "hilbench", "run", str(ZOO / "suite.toml"),
            "--board", "native", "--sessions", "500", "--boards", str(boards_file),
        ],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        journals = list(tmp_path.glob("results/*/journal.jsonl"))
        if journals and journals[0].read_text().count('"kind": "session"') >= 2:
            break
        time.sleep(0.02)
    children = _children(process.pid)
    process.kill()
    process.wait(10)
    _, alive = psutil.wait_procs(children, timeout=5)
    assert not alive
    frame = hilbench.load(journals[0].parent)
    assert frame["latency_median"].notna().any()


def _npz(path, **arrays):
    np.savez(path, **arrays)
    return path


X = np.zeros((3, 8, 8, 1), np.float32)


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        (
            {"x": X, "y": np.array(["a", "b", "c"])},
            "y is <U1, must be numbers: class numbers from 0",
        ),
        (
            {"x": X, "y": np.eye(3, 10)},
            "y has shape [3, 10], metric 'top1' needs one class number a vector; of one-hot rows "
            "take y.argmax(axis=1)",
        ),
        (
            {"x": X, "y": np.array([1, 2, 77])},
            "vectors 'v': label 77 of vector 2 is not a class; the model has classes 0..9",
        ),
        ({"x": X}, "no array 'y', and metric 'top1' needs labels"),
    ],
)
def test_bad_labels(cli, arrays, sentence, tmp_path):
    path = _npz(tmp_path / "v.npz", **arrays)
    process = cli("run", ZOO / "mlp_int8.tflite", "--vectors", path, "--board", "native")
    assert process.returncode == 2
    assert sentence in process.stderr.splitlines()[-1]
    assert "Traceback" not in process.stderr


def test_options_that_do_not_fit_the_vector_file(cli, vectors):
    process = cli(
        "run", ZOO / "mlp_int8.tflite", "--vectors", vectors, "--dtype", "int8", "--board", "native"
    )
    assert _one_line(process, 2).endswith("dtype belongs to folders of .bin files; leave it out")


def test_a_broken_vector_file_costs_only_its_own_variants(boards, zoo, tmp_path):
    need_image("posix")
    broken = tmp_path / "broken.npz"
    broken.write_bytes(b"PK nothing")
    bad = replace(zoo.vectors[0], name="bad", file=broken, golden=None)
    first, *others = zoo.variants
    suite = replace(
        zoo,
        variants=(replace(first, vectors="bad"), *others),
        vectors=(*zoo.vectors, bad),
        sessions=1,
        iterations=1,
    )
    outcome = run_suite(suite, [boards["native"]], results=tmp_path, limit=3)
    assert outcome.exit_code == 2
    frame = hilbench.load(outcome.folder).set_index("variant")
    assert frame.loc["fp32", "error"].startswith("VectorError: ")
    assert frame.loc[[v.name for v in others], "accuracy"].notna().all()


def test_wrong_outputs_are_exit_code_1_and_said_in_the_row(boards, zoo, tmp_path, monkeypatch):
    need_image("posix")
    real = prepare_module.prepare_variant

    def other_truth(*args):
        prepared = real(*args)
        if prepared.golden is None:
            return prepared
        golden = prepared.golden.copy()
        golden[1, 3] += 2
        return replace(prepared, golden=golden)

    monkeypatch.setattr(bench_module, "prepare_variant", other_truth)
    suite = replace(
        zoo, variants=tuple(v for v in zoo.variants if v.name == "mlp_int8"), sessions=1
    )
    outcome = run_suite(suite, [boards["native"]], results=tmp_path, limit=4)
    assert outcome.exit_code == 1
    assert str(outcome.errors[0]) == (
        "board native, variant mlp_int8: outputs differ in 1 of 4 vectors, by up to 2 LSB from "
        "tflite-micro 0.dev20261023182759 (golden); the board's outputs are in outputs/ of the run "
        "folder"
    )
    row = hilbench.load(outcome.folder).iloc[0]
    assert row["agreement_tflm"] == 0.75
    assert row["error"].startswith("OutputMismatchError: ")


def test_golden_outputs_of_another_model_are_refused(boards, zoo, tmp_path):
    need_image("posix")
    swapped = tuple(
        replace(v, model=ZOO / "student_int8.tflite") for v in zoo.variants if v.name == "mlp_int8"
    )
    with pytest.raises(
        VectorError, match=r"golden_tflm.npz: sha256.mlp_int8 is [0-9a-f]{12}, but "
    ):
        run_suite(replace(zoo, variants=swapped), [boards["native"]], results=tmp_path, limit=4)


def test_without_tflite_micro_the_row_and_the_table_say_so(boards, zoo, tmp_path, monkeypatch):
    need_image("posix")
    for name in {"tflite_micro", *(m for m in sys.modules if m.startswith("tflite_micro."))}:
        monkeypatch.setitem(sys.modules, name, None)
    suite = replace(
        zoo,
        variants=tuple(v for v in zoo.variants if v.name == "mlp_int8"),
        vectors=(replace(zoo.vectors[0], golden=None),),
        sessions=1,
    )
    outcome = run_suite(suite, [boards["native"]], results=tmp_path, limit=4)
    assert outcome.exit_code == 0
    row = hilbench.load(outcome.folder).iloc[0]
    assert np.isnan(row["agreement_tflm"])
    assert "pip install" in row["tflm"]
    text = io.StringIO()
    print_run(outcome.folder, Console(file=text))
    assert "NOT compared with TensorFlow Lite Micro: mlp_int8; " in text.getvalue()


def test_a_closed_pipe_does_not_end_the_measurement(boards_file, tmp_path):
    need_image("posix")
    command = (
        f"{sys.executable} -m hilbench run {ZOO / 'suite.toml'} --board native --sessions 1 "
        f"--limit 3 --boards {boards_file} | head -n 1; exit ${{PIPESTATUS[0]}}"
    )
    process = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    assert "Traceback" not in process.stderr
    (folder,) = (tmp_path / "results").iterdir()
    assert hilbench.load(folder)["accuracy"].notna().all()
    assert (folder / "SHA256SUMS").exists()
