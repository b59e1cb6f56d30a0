"""Evidence decodes to what was measured, and damage to it is told."""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilbench import plugins
from hilbench.errors import HilbenchError, StoreError
from hilbench.power import Marked, Window
from hilbench.recordings import InMemory, Spool, evidence, load_evidence, write_evidence
from tests.recordings import counting_meter as meter

SAMPLES = 60_000
GAPS = ((20_100, 64), (21_000, 3), (40_000, 1))


def window(start, end, kind="run"):
    marked = Marked(kind, 10 if kind == "run" else 0, (end - start) / meter.RATE_HZ, 1e-6, 0.001)
    return Window(marked, start, end, "gpio", 0.408)


WINDOWS = (window(20_050.5, 22_000.25), window(39_990.0, 41_000.0, "idle"))


@pytest.fixture(autouse=True, scope="module")
def _counting():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plugins, "load", meter.load)
        yield


@pytest.fixture(scope="module")
def recording():
    chunks, end = meter.capture(5, SAMPLES, 700, GAPS)
    return InMemory(meter.IDENTITY, meter.SPEC, meter.SETUP, chunks, end)


def whole(recording):
    at = 0
    for chunk in recording.chunks():
        assert chunk.start == at
        at += len(chunk)
    names = ("current_a", "logic", "valid", "range")
    return {n: np.concatenate([getattr(c, n) for c in recording.chunks()]) for n in names}


@pytest.mark.parametrize("margin_s", [0.0, evidence.MARGIN_S])
def test_windows_decode_to_what_was_measured(tmp_path, recording, margin_s):
    path = tmp_path / "deep" / "e.npz"
    digest = write_evidence(path, recording, WINDOWS, margin_s)
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [p.name for p in path.parent.iterdir()] == ["e.npz"]
    kept = load_evidence(path)
    for name in ("identity", "spec", "setup", "end"):
        assert getattr(kept, name) == getattr(recording, name)
    assert kept.windows == WINDOWS
    assert kept.margin_s == margin_s
    before, after = whole(recording), whole(kept)
    margin = margin_s * meter.RATE_HZ
    for w in WINDOWS:
        part = slice(int(w.start - margin), int(np.ceil(w.end + margin)))
        assert any(a <= part.start and part.stop <= b for a, b in kept.kept)
        for name, values in before.items():
            np.testing.assert_array_equal(after[name][part], values[part])
    assert len(after["valid"]) == SAMPLES
    outside = np.ones(SAMPLES, bool)
    for a, b in kept.kept:
        outside[a:b] = False
    assert outside.sum() > 20_000
    assert not after["valid"][outside].any()
    assert np.isnan(after["current_a"][outside]).all()


def test_the_full_capture_on_request(tmp_path, recording):
    write_evidence(tmp_path / "e.npz", recording, WINDOWS, None)
    kept = load_evidence(tmp_path / "e.npz")
    assert kept.kept == ((0, SAMPLES),)
    for name, values in whole(recording).items():
        np.testing.assert_array_equal(whole(kept)[name], values)
    for a, b in zip(recording.chunks(), kept.chunks(), strict=True):
        assert a.raw == b.raw


def test_evidence_of_evidence_is_the_same(tmp_path, recording):
    first = write_evidence(tmp_path / "a.npz", recording, WINDOWS)
    kept = load_evidence(tmp_path / "a.npz")
    assert write_evidence(tmp_path / "b.npz", kept, WINDOWS) == first


def test_numpy_alone_opens_it(tmp_path, recording):
    write_evidence(tmp_path / "e.npz", recording, WINDOWS)
    with np.load(tmp_path / "e.npz", allow_pickle=False) as arrays:
        header = json.loads(arrays["header"].tobytes())
        rows, raw = arrays["rows"], arrays["raw"]
    assert header["identity"]["calibration"] == meter.IDENTITY.calibration
    assert header["decoder"] == "counting"
    codes = [c.raw for c in recording.chunks() if c.start in set(rows[:, 0].tolist())]
    assert raw.tobytes() == b"".join(codes)
    assert rows[:, 3].sum() == len(raw)


def test_nothing_is_kept_without_windows(tmp_path, recording):
    write_evidence(tmp_path / "e.npz", recording)
    kept = load_evidence(tmp_path / "e.npz")
    assert kept.kept == ()
    assert not whole(kept)["valid"].any()


def test_what_does_not_decode_again_is_not_kept(tmp_path, recording, monkeypatch):
    def one_more(raw, *rest):
        for chunk in meter.decode(raw, *rest):
            chunk.current_a[...] += 1e-6
            yield chunk

    monkeypatch.setattr(plugins, "load", lambda *_: SimpleNamespace(decode=one_more))
    with pytest.raises(StoreError) as error:
        write_evidence(tmp_path / "e.npz", recording, WINDOWS)
    assert str(error.value) == (
        f"{tmp_path}/e.npz: counting does not decode its codes to what was measured between samples "
        f"17500 and 18200; keep the whole capture (margin_s None) and report the driver"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_recording_that_changes(tmp_path, recording):
    class Changing(InMemory):
        passes = 0

        def chunks(self):
            self.passes += 1
            return super().chunks() if self.passes == 1 else iter(())

    changing = Changing(
        recording.identity, recording.spec, recording.setup, list(recording.chunks())
    )
    with pytest.raises(StoreError) as error:
        write_evidence(tmp_path / "e.npz", changing, WINDOWS)
    assert str(error.value) == (
        f"{tmp_path}/e.npz: the recording changed while it was kept; nothing was written"
    )


def test_a_folder_that_cannot_be_made(tmp_path, recording):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError) as error:
        write_evidence(tmp_path / "file" / "e.npz", recording, WINDOWS)
    assert str(error.value) == f"{tmp_path}/file/e.npz: cannot be written (File exists)"


def test_an_absent_file(tmp_path):
    with pytest.raises(StoreError) as error:
        load_evidence(tmp_path / "e.npz")
    assert str(error.value) == f"{tmp_path}/e.npz: cannot be read (no such file)"


def rewritten(path, change):
    with np.load(path) as archive:
        arrays = dict(archive)
    header = json.loads(arrays["header"].tobytes())
    change(header, arrays)
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez_compressed(path, **arrays)


def unlike(what):
    return (
        f"not whole evidence of hilbench ({what}); restore the file, the run's journal has its "
        f"SHA-256"
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda h, a: h.update(version=2),
            "version 2 of the evidence format, this hilbench reads 1; install the one that wrote it",
        ),
        (lambda h, a: h.pop("format"), unlike("ValueError: its header does not say so")),
        (lambda h, a: h.pop("end"), "header: field 'end' is missing"),
        (lambda h, a: h["setup"].update(supply_v="3"), "header.setup.supply_v: '3' is not of type float"),
        (
            lambda h, a: a.update(raw=a["raw"][:-4]),
            unlike("ValueError: 83996 bytes of codes, its chunks have 84000"),
        ),
        (
            lambda h, a: a["rows"].__setitem__((1, 0), 1),
            unlike("ValueError: chunks overlap at sample 1"),
        ),
        (
            lambda h, a: h.update(samples=100),
            unlike("ValueError: chunks end at sample 45568, the capture at 100"),
        ),
        (
            lambda h, a: a["gaps"].__setitem__((0, 1), 20_150),
            unlike("ValueError: gaps are not the chunks' lost samples"),
        ),
        (
            lambda h, a: a["gaps"].__setitem__((0, 0), 3),
            unlike("ValueError: gap 3 to 20164 is in no chunk"),
        ),
        (
            lambda h, a: a["rows"].__setitem__((1, 2), -1),
            unlike("ValueError: rows holds -1"),
        ),
        (lambda h, a: a.pop("rows"), unlike("KeyError: \"There is no item named 'rows.npy' in the archive\"")),
        (
            lambda h, a: a.update(rows=a["rows"].astype(np.float64)),
            unlike("ValueError: rows is float64, expected <i8"),
        ),
    ],
)  # fmt: skip
def test_damage_is_named(tmp_path, recording, change, says):
    path = tmp_path / "e.npz"
    write_evidence(path, recording, WINDOWS)
    rewritten(path, change)
    with pytest.raises(StoreError) as error:
        load_evidence(path)
    assert str(error.value) == f"{path}: {says}"


def test_no_zip_at_all(tmp_path):
    (tmp_path / "e.npz").write_bytes(b"PK but not really")
    with pytest.raises(StoreError) as error:
        load_evidence(tmp_path / "e.npz")
    assert str(error.value) == f"{tmp_path}/e.npz: " + unlike("BadZipFile: File is not a zip file")


@pytest.fixture(scope="module")
def written(tmp_path_factory, recording):
    path = tmp_path_factory.mktemp("fuzz") / "e.npz"
    write_evidence(path, recording, WINDOWS, 0.0)
    return path


@settings(max_examples=150)
@given(data=st.data())
def test_any_damage_is_a_typed_error_or_none_at_all(written, data):
    """One byte, or a cut: either it is found, or nothing that is read depends on it."""
    whole_file = written.read_bytes()
    damaged = bytearray(whole_file)
    if data.draw(st.booleans()):
        damaged = damaged[: data.draw(st.integers(0, len(damaged) - 1))]
    else:
        # the places where structure is: the begin of each entry and the directory at the end
        at = data.draw(st.integers(0, 400) | st.integers(len(damaged) - 400, len(damaged) - 1))
        damaged[at] ^= data.draw(st.integers(1, 255))
    path = written.with_name("damaged.npz")
    path.write_bytes(damaged)
    try:
        kept = load_evidence(path)
    except HilbenchError:
        return
    original = load_evidence(written)
    assert kept.identity == original.identity
    for a, b in zip(kept.chunks(), original.chunks(), strict=True):
        np.testing.assert_array_equal(a.current_a, b.current_a)


def test_every_byte_is_in_the_archive_once(written):
    with zipfile.ZipFile(written) as archive:
        assert archive.namelist() == ["header.npy", "rows.npy", "gaps.npy", "raw.npy"]
        assert archive.testzip() is None


def test_a_spooled_meter_without_codes_is_kept(tmp_path):
    spool = Spool(meter.IDENTITY, meter.SPEC, meter.SETUP)
    chunks, end = meter.capture(5, 3_000, 700, ((800, 64),))
    for chunk in chunks:
        spool.append(replace(chunk, raw=b""))
    spooled = spool.finish(end)
    write_evidence(tmp_path / "e.npz", spooled, margin_s=None)
    before, after = whole(spooled), whole(load_evidence(tmp_path / "e.npz"))
    for name, values in before.items():
        np.testing.assert_array_equal(after[name], values)
