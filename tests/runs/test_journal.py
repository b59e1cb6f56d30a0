"""The journal: synced lines, one torn line, and nothing else is forgiven."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hilbench.errors import EXIT_COULD_NOT_MEASURE, StoreError
from hilbench.runs.journal import Journal, read_journal, write_atomically
from hilbench.runs.schema import EndRecord, from_dict, to_dict
from tests.runs import run_examples as ex

WRITE = os.write
RECORDS = (ex.BOARD, ex.VARIANT, ex.SESSION, ex.CELL_ERROR, EndRecord("complete", "2026"))


def sentence(call, *arguments):
    with pytest.raises(StoreError) as caught:
        call(*arguments)
    assert caught.value.exit_code == EXIT_COULD_NOT_MEASURE
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def journal(tmp_path):
    journal = Journal.create(tmp_path / "results", ex.PROVENANCE)
    yield journal
    journal.close()


@pytest.mark.parametrize("record", [ex.PROVENANCE, *RECORDS, ex.BOARD_ERROR], ids=lambda r: r.KIND)
def test_record_survives_json(record):
    assert from_dict(json.loads(json.dumps(to_dict(record)))) == record


def test_provenance_comes_first(journal):
    assert journal.folder.name == ex.PROVENANCE.run_id
    first = json.loads((journal.folder / "journal.jsonl").read_text())
    assert first["kind"] == "provenance"
    assert first["schema"] == 2
    assert not (journal.folder / "journal.jsonl").stat().st_mode & 0o111


def test_what_is_appended_is_read_back(journal):
    for record in RECORDS[:-1]:
        journal.append(record)
    journal.end("complete")
    journal.end("failed")  # too late, ignored
    found = read_journal(journal.folder)
    assert found.records[:-1] == (ex.PROVENANCE, *RECORDS[:-1])
    assert found.records[-1].state == "complete"
    assert found.torn is None
    assert sentence(journal.append, ex.BOARD) == (
        f"{journal.folder / 'journal.jsonl'}: has ended; board came too late"
    )


def test_every_line_is_synced_before_append_returns(journal, monkeypatch):
    calls = []
    write, fsync = os.write, os.fsync
    monkeypatch.setattr(os, "write", lambda f, d: (calls.append("write"), write(f, d))[1])
    monkeypatch.setattr(os, "fsync", lambda f: (calls.append("fsync"), fsync(f))[1])
    journal.append(ex.BOARD)
    assert calls == ["write", "fsync"]


def test_second_run_of_the_same_second(tmp_path):
    names = []
    for _ in range(3):
        journal = Journal.create(tmp_path, ex.PROVENANCE)
        journal.close()
        names.append(journal.folder.name)
        assert read_journal(journal.folder).provenance.run_id == journal.folder.name
    run_id = ex.PROVENANCE.run_id
    assert names == [run_id, f"{run_id}-2", f"{run_id}-3"]


def test_lines_of_threads_do_not_mix(journal):
    def work(board):
        for number in range(20):
            journal.append(replace(ex.SESSION, board=board, session=number))

    threads = [threading.Thread(target=work, args=(b,)) for b in ("a", "b", "c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    records = read_journal(journal.folder).records[1:]
    for board in ("a", "b", "c"):
        assert [r.session for r in records if r.board == board] == list(range(20))


def test_arrays_are_there_before_the_line_that_names_them(journal, monkeypatch):
    outputs = np.arange(20, dtype=np.int8).reshape(2, 10)
    append = Journal.append

    def checked(self, record):
        for name, digest in record.files.items():
            data = (self.folder / name).read_bytes()
            assert hashlib.sha256(data).hexdigest() == digest
        append(self, record)

    monkeypatch.setattr(Journal, "append", checked)
    record = journal.append_session(ex.SESSION, outputs=outputs, ticks=np.uint32([1, 2]))
    assert list(record.files) == ["outputs/m4/int8-1.npz"]
    with np.load(journal.folder / "outputs/m4/int8-1.npz") as kept:
        assert np.array_equal(kept["outputs"], outputs)
        assert kept["ticks"].tolist() == [1, 2]
    assert read_journal(journal.folder).records[-1] == record
    assert not list(journal.folder.rglob("*.tmp"))
    assert sentence(journal.append_session, ex.SESSION) == (
        f"{journal.folder / 'outputs/m4/int8-1.npz'}: exists; a session is measured once"
    )


def test_a_number_that_is_not_finite_is_refused(journal):
    assert sentence(journal.append, replace(ex.SESSION, wall_s=float("nan"))) == (
        "session record holds a number that is not finite; use None for unknown"
    )
    assert len(read_journal(journal.folder).records) == 1


def test_torn_last_line_at_every_byte(journal):
    journal.append(ex.CELL_ERROR)
    path = journal.folder / "journal.jsonl"
    whole = path.read_bytes()
    first_line = whole.index(b"\n") + 1
    for cut in range(first_line, len(whole) + 1):
        path.write_bytes(whole[:cut])
        found = read_journal(journal.folder)
        if cut >= len(whole) - 1:  # whole but for its newline
            assert found.records == (ex.PROVENANCE, ex.CELL_ERROR)
            assert found.torn is None
        else:
            assert found.records == (ex.PROVENANCE,)
            assert found.torn == (whole[first_line:cut].decode() or None)


def test_line_cut_within_a_character(journal):
    with (journal.folder / "journal.jsonl").open("ab") as file:
        file.write('{"kind":"error","sentence":"é'.encode()[:-1])
    assert read_journal(journal.folder).torn.startswith('{"kind":"error"')


def damaged(journal, change):
    path = journal.folder / "journal.jsonl"
    path.write_bytes(change(path.read_bytes()))
    return sentence(read_journal, journal.folder)


def test_damage_in_the_middle(journal):
    journal.append(ex.BOARD)
    journal.append(ex.VARIANT)
    path = journal.folder / "journal.jsonl"
    lines = path.read_bytes().split(b"\n")
    assert damaged(journal, lambda _: b"\n".join([lines[0], lines[1][:50], *lines[2:]])) == (
        f"{path}: line 2: damaged; restore the file, its other lines may be as wrong"
    )


def test_damaged_last_line_with_its_newline_is_not_a_torn_one(journal):
    text = damaged(journal, lambda data: data + b'{"kind": "boa\n')
    assert text.endswith("line 2: damaged; restore the file, its other lines may be as wrong")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda d: d.replace(b'"schema": 2', b'"schema": 3'), "line 1: journal has schema 3, this hilbench reads 1 to 2; read it with the hilbench that wrote it"),
        (lambda d: d.replace(b'"kind": "provenance"', b'"kind": "provenanse"'), "line 1: unknown kind 'provenanse'; known: provenance, board, variant, session, comparison, error, resumed, end"),
        (lambda d: d.replace(b'"name": "digits", ', b""), "line 1: provenance: field 'name' is missing"),
        (lambda d: d.replace(b'"name": "digits"', b'"nome": "digits"'), "line 1: provenance: unknown field 'nome'; written by a newer hilbench?"),
        (lambda d: d.replace(b'"sessions": 3', b'"sessions": "3"'), "line 1: provenance.sessions: '3' is not of type int"),
        (lambda d: d.replace(b'"sessions": 3', b'"sessions": true'), "line 1: provenance.sessions: True is not of type int"),
        (lambda d: d.replace(b'[["m4", "int8"]', b'[["m4"]'), "line 1: provenance.cells: 1 values, expected 2"),
        (lambda _: b"", "does not begin with a provenance record; nothing was measured"),
        (lambda _: json.dumps(to_dict(ex.CELL_ERROR)).encode() + b"\n", "does not begin with a provenance record; nothing was measured"),
        (lambda d: d + b'{"kind": "end", "state": "fine", "ended_utc": ""}\n', "line 2: end.state: 'fine' is not of type Literal"),
        (lambda d: d + b"[1]\n", "line 2: damaged; restore the file, its other lines may be as wrong"),
    ],
)  # fmt: skip
def test_sentences(journal, change, expected):
    assert damaged(journal, change) == f"{journal.folder / 'journal.jsonl'}: {expected}"


def test_no_journal(tmp_path):
    assert sentence(read_journal, tmp_path) == (
        f"{tmp_path / 'journal.jsonl'}: cannot be read (No such file or directory); "
        "is it a run folder?"
    )


def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    assert sentence(Journal.create, tmp_path / "file", ex.PROVENANCE).startswith(
        f"{tmp_path / 'file'}: cannot make a run folder ("
    )


def test_file_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    assert sentence(write_atomically, tmp_path / "file" / "x", b"").startswith(
        f"{tmp_path / 'file' / 'x'}: cannot be written ("
    )


def test_part_of_a_line_on_a_full_disk_does_not_damage_what_comes_later(journal):
    """A limit on the size of files is as good as a full disk: the kernel writes a part."""
    size = (journal.folder / "journal.jsonl").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, hard))
    try:
        with pytest.raises(StoreError, match=r"20 of [0-9]+ bytes written; free the disk$"):
            journal.append(ex.BOARD)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    journal.append(ex.BOARD_ERROR)
    journal.end("failed")
    contents = read_journal(journal.folder)
    assert [r.KIND for r in contents.records] == ["provenance", "error", "end"]
    assert contents.torn is None


def test_part_of_a_line_that_cannot_be_taken_back_is_the_last(journal, monkeypatch):
    monkeypatch.setattr(os, "write", lambda file, data: WRITE(file, data[:20]))

    def broken_disk(_file, _size):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "ftruncate", broken_disk)
    assert "20 of " in sentence(journal.append, ex.BOARD)
    monkeypatch.undo()
    assert "has ended" in sentence(journal.append, ex.BOARD_ERROR)
    assert read_journal(journal.folder).torn == '{"kind": "board", "b'


def test_full_disk(journal, monkeypatch):
    monkeypatch.setattr(os, "write", lambda _f, _d: 5)
    assert "5 of " in sentence(journal.append, ex.BOARD)

    def no_space(_f, _d):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", no_space)
    assert sentence(journal.append, ex.BOARD) == (
        f"{journal.folder / 'journal.jsonl'}: cannot be written (No space left on device)"
    )


WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from tests.runs import run_examples as ex
import numpy as np
from hilbench.runs.journal import Journal
journal = Journal.create(Path(sys.argv[1]), ex.PROVENANCE)
for number in range(1, 100_000):
    journal.append_session(replace(ex.SESSION, session=number), outputs=np.zeros((2, 10), np.int8))
    print(number, flush=True)
"""


def test_kill_9_loses_nothing_that_was_reported(tmp_path):
    """Whatever append returned for is there afterwards, its arrays with it."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)],
        stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    reported = 0
    for line in process.stdout:
        reported = int(line)
        if reported == 7:
            process.send_signal(signal.SIGKILL)
            break
    reported = max([reported, *(int(line) for line in process.stdout if line.endswith("\n"))])
    process.stdout.close()
    assert process.wait(timeout=30) == -signal.SIGKILL
    (folder,) = tmp_path.iterdir()
    sessions = read_journal(folder).records[1:]
    assert [s.session for s in sessions] == list(range(1, len(sessions) + 1))
    assert reported <= len(sessions) <= reported + 1
    for record in sessions:
        for name, digest in record.files.items():
            assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.integers(0, 100_000), st.binary(min_size=1, max_size=3))
def test_any_damage_is_a_store_error_or_reads(tmp_path, position, patch):
    lines = [json.dumps(to_dict(r)).encode() + b"\n" for r in (ex.PROVENANCE, *RECORDS)]
    data = bytearray(b"".join(lines))
    position %= len(data)
    data[position : position + len(patch)] = patch
    (tmp_path / "journal.jsonl").write_bytes(data)
    with contextlib.suppress(StoreError):
        assert read_journal(tmp_path).provenance


@pytest.mark.parametrize("kind", [[], {}, None, 1])
def test_kind_that_is_no_text(kind):
    assert sentence(from_dict, {"kind": kind}).startswith(f"record: unknown kind {kind!r}; known: ")
