"""Vectors: files, shapes, quantisation, and the sentence for everything that does not fit."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hilbench.errors import EXIT_USAGE, VectorError
from hilbench.models.vectors import RawVectors, load_vectors, prepare, subset
from hilbench.records import TensorInfo, VectorsConfig

INT8 = TensorInfo("input", (1, 2, 3), "int8", 0.5, -10)
FLOAT = TensorInfo("input", (1, 2, 3), "float32", 0.0, 0)


def raw(x, y=None):
    return RawVectors("v", np.asarray(x), y, "00", "none")


def config(file, **keys):
    return VectorsConfig("v", Path(file), **keys)


def sentence(call, *arguments):
    with pytest.raises(VectorError) as caught:
        call(*arguments)
    assert caught.value.exit_code == EXIT_USAGE
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- files


def test_npz(tmp_path):
    x, y = np.arange(12, dtype=np.float32).reshape(2, 2, 3), np.array([0, 1])
    np.savez(tmp_path / "v.npz", x=x, y=y, note="kept by the user")
    loaded = load_vectors(config(tmp_path / "v.npz"))
    assert np.array_equal(loaded.x, x)
    assert np.array_equal(loaded.y, y)
    assert loaded.sha256 == hashlib.sha256((tmp_path / "v.npz").read_bytes()).hexdigest()


def test_npz_without_y_needs_metric_none(tmp_path):
    np.savez(tmp_path / "v.npz", x=np.zeros((2, 3)))
    file = tmp_path / "v.npz"
    assert load_vectors(config(file, metric="none")).y is None
    assert sentence(load_vectors, config(file)) == (
        f"{file}: no array 'y', and metric 'top1' needs labels; add y, or set metric = \"none\""
    )


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ({"a": [1], "b": [1]}, "no array 'x', found a, b; save it as x=…, y=…"),
        ({"x": np.zeros((0, 3)), "y": []}, "x holds no vectors; its shape is [0, 3]"),
        ({"x": np.float32(1), "y": [1]}, "x holds no vectors; its shape is []"),
        ({"x": ["a"], "y": [1]}, "x is <U1, must be numbers"),
        ({"x": np.zeros((3, 1)), "y": [1, 2]}, "3 vectors but 2 labels"),
        ({"x": np.zeros((3, 1)), "y": 1}, "3 vectors but 1 labels"),
    ],
)
def test_npz_content(tmp_path, arrays, expected):
    np.savez(tmp_path / "v.npz", **arrays)
    text = sentence(load_vectors, config(tmp_path / "v.npz"))
    assert text == f"{tmp_path / 'v.npz'}: {expected}"


def test_npz_that_holds_pickled_objects_is_not_unpickled(tmp_path):
    np.savez(tmp_path / "v.npz", x=np.array([{}], dtype=object), y=[1])
    assert "cannot be read as .npz (Object arrays" in sentence(
        load_vectors, config(tmp_path / "v.npz")
    )


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"text"])
def test_corrupt_npz(tmp_path, content):
    (tmp_path / "v.npz").write_bytes(content)
    text = sentence(load_vectors, config(tmp_path / "v.npz"))
    assert text.startswith(f"{tmp_path / 'v.npz'}: cannot be read as .npz (")
    assert text.endswith("); write it again")


def test_truncated_npz(tmp_path):
    np.savez(tmp_path / "v.npz", x=np.zeros((9, 9)), y=np.zeros(9))
    data = (tmp_path / "v.npz").read_bytes()
    (tmp_path / "v.npz").write_bytes(data[: len(data) // 2])
    assert "cannot be read as .npz" in sentence(load_vectors, config(tmp_path / "v.npz"))


def test_npy_with_labels(tmp_path):
    np.save(tmp_path / "v.npy", np.zeros((3, 6), np.int8))
    (tmp_path / "l.csv").write_text("0\n2\n1\n")
    loaded = load_vectors(config(tmp_path / "v.npy", labels=tmp_path / "l.csv"))
    assert loaded.y.tolist() == [0, 2, 1]
    assert loaded.y.dtype == np.int64
    sums = "".join(
        f"{hashlib.sha256((tmp_path / n).read_bytes()).hexdigest()}  {n}\n"
        for n in ("v.npy", "l.csv")
    )
    assert loaded.sha256 == hashlib.sha256(sums.encode()).hexdigest()


def test_npy_sentences(tmp_path):
    (tmp_path / "v.npy").write_bytes(b"no")
    text = sentence(load_vectors, config(tmp_path / "v.npy", metric="none"))
    assert text.startswith(f"{tmp_path / 'v.npy'}: cannot be read as .npy (")
    np.save(tmp_path / "v.npy", np.zeros((2, 1)))
    (tmp_path / "l.csv").write_text("label\n0\n1\n")
    assert sentence(load_vectors, config(tmp_path / "v.npy", labels=tmp_path / "l.csv")) == (
        f"{tmp_path / 'l.csv'}: line 1 is 'label', must be one number, the label of a vector"
    )
    missing = config(tmp_path / "v.npy", labels=tmp_path / "no.csv")
    assert sentence(load_vectors, missing).startswith(f"{tmp_path / 'no.csv'}: cannot be read (")


def folder(tmp_path, table, **files):
    (tmp_path / "y_labels.csv").write_text(table)
    for name, data in files.items():
        (tmp_path / f"{name}.bin").write_bytes(data)
    return config(tmp_path, dtype="int8")


def test_mlperf_folder(tmp_path):
    c = folder(tmp_path, "b.bin,3,2\na.bin, 3, 0\n", a=b"\x00\x01", b=b"\xff\x80")
    loaded = load_vectors(c)
    assert loaded.x.tolist() == [[-1, -128], [0, 1]]  # in the order of the table
    assert loaded.y.tolist() == [2, 0]


def test_mlperf_windows(tmp_path):
    c = folder(tmp_path, "a.bin,2,1,4,2\n", a=bytes(range(8)))
    loaded = load_vectors(c)
    assert loaded.x.tolist() == [[0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6, 7]]
    assert loaded.y.tolist() == [1, 1, 1]


def test_mlperf_ad01_gives_196_windows(tmp_path):
    c = folder(tmp_path, "a.bin,2,0,2560,512\n", a=bytes(102400))
    c = config(tmp_path, dtype="float32")
    assert load_vectors(c).x.shape == (196, 640)


def test_float_bins_are_little_endian(tmp_path):
    folder(tmp_path, "a.bin,2,0\n", a=b"\x00\x00\x80\x3f")
    loaded = load_vectors(config(tmp_path, dtype="float32"))
    assert loaded.x.tolist() == [[1.0]]
    assert prepare(loaded, TensorInfo("i", (1, 1), "float32", 0.0, 0), "host")[0].x.tolist() == [
        [1]
    ]


ROW = "must be file,n_classes,class[,window_bytes,stride_bytes]"


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("", "{d}/y_labels.csv: no vectors; a line is file,n_classes,class"),
        ("a.bin,2\n", "{d}/y_labels.csv: line 1 is 'a.bin,2', " + ROW),
        ("a.bin,2,x\n", "{d}/y_labels.csv: line 1 is 'a.bin,2,x', " + ROW),
        ("a.bin,2,1,4\n", "{d}/y_labels.csv: line 1 is 'a.bin,2,1,4', " + ROW),
        ("a.bin,2,2\n", "{d}/y_labels.csv: line 1: class 2 of 2 classes; classes count from 0"),
        ("a.bin,2,1,0,1\n", "{d}/y_labels.csv: line 1: window and stride must be at least 1 byte"),
        ("a.bin,2,0\nc.bin,2,0\n", "{d}/y_labels.csv: line 2: no file {d}/c.bin (No such file or directory)"),
        ("a.bin,2,0\nb.bin,2,0\n", "{d}/b.bin: 5 values, the vectors before it have 4"),
        ("b.bin,2,0,4,2\n", "{d}/b.bin: 5 bytes are not whole windows of 4 bytes, stride 2"),
        ("a.bin,2,0,8,2\n", "{d}/a.bin: 4 bytes are not whole windows of 8 bytes, stride 2"),
    ],
)  # fmt: skip
def test_mlperf_sentences(tmp_path, table, expected):
    c = folder(tmp_path, table, a=bytes(4), b=bytes(5))
    assert sentence(load_vectors, c) == expected.replace("{d}", str(tmp_path))


def test_bins_of_broken_values(tmp_path):
    folder(tmp_path, "a.bin,2,0\n", a=bytes(5))
    assert sentence(load_vectors, config(tmp_path, dtype="float32")) == (
        f"{tmp_path / 'a.bin'}: 5 bytes are not whole float32 values"
    )
    assert sentence(load_vectors, config(tmp_path)) == (
        f"{tmp_path}: .bin files do not say their dtype; give dtype"
    )


# --- shapes


@pytest.mark.parametrize("shape", [(4, 2, 3), (4, 1, 2, 3), (4, 6)])
def test_shapes_that_fit(shape):
    x = np.arange(24, dtype=np.int8).reshape(shape)
    vectors, how = prepare(raw(x), INT8, "none")
    assert vectors.x.shape == (4, 2, 3)
    assert vectors.x.tobytes() == x.tobytes()
    assert how == "none"


def test_shape_without_batch():
    tensor = TensorInfo("input", (2, 3), "int8", 0.5, 0)
    assert prepare(raw(np.zeros((4, 6), np.int8)), tensor, "none")[0].x.shape == (4, 2, 3)


@pytest.mark.parametrize("shape", [(4, 3, 2), (4, 5), (4,), (4, 2, 3, 1)])
def test_shapes_that_do_not_fit(shape):
    got = ", ".join(str(s) for s in shape[1:])
    assert sentence(prepare, raw(np.zeros(shape, np.int8)), INT8, "host") == (
        f"vectors 'v': shape [n, {got}], the model takes [n, 2, 3] or [n, 6]; reshape x"
    )


# --- dtypes


def test_quantisation_by_hand():
    # scale 0.5, zero point -10: q = rint(2x) - 10; ties go to even
    x = np.array([[0.0, 0.25, 0.75, -0.25, 1.0, -1.0]], np.float32)
    vectors, how = prepare(raw(x), INT8, "host")
    assert vectors.x.reshape(-1).tolist() == [-10, -10, -8, -10, -8, -12]
    assert vectors.x.dtype == np.int8
    assert how == "host: scale 0.5 zero point -10"


def test_clipped_values_are_counted():
    x = np.array([[1000.0, -1000.0, 0, 0, 68.5, -59.0]], np.float32)
    vectors, how = prepare(raw(x), INT8, "host")
    assert vectors.x.reshape(-1).tolist() == [127, -128, -10, -10, 127, -128]
    assert how == "host: scale 0.5 zero point -10, 2 of 6 values clipped"


@given(
    hnp.arrays(np.float32, (3, 6), elements=st.floats(-100, 100, width=32)),
    st.floats(0.0009765625, 1.0, width=32),
    st.integers(-128, 127),
)
def test_quantisation_is_the_stated_formula(x, scale, zero_point):
    tensor = TensorInfo("input", (1, 6), "int8", scale, zero_point)
    expected = np.clip(
        np.rint(x.astype(np.float32) / np.float32(scale)) + zero_point, -128, 127
    ).astype(np.int8)
    assert np.array_equal(prepare(raw(x), tensor, "host")[0].x, expected)


def test_quantisation_error_of_the_zoo_is_at_most_half_a_step():
    zoo = Path(__file__).resolve().parents[2] / "hilbench" / "zoo" / "digits"
    x = np.load(zoo / "vectors.npz")["x"]
    # 1/255 grid as a converter would choose it for 0..1; every value is inside the range
    tensor = TensorInfo("input", (1, 8, 8, 1), "int8", 1 / 255, -128)
    vectors, how = prepare(raw(x), tensor, "host")
    assert "clipped" not in how
    back = (vectors.x.astype(np.float32) + 128) / 255
    assert np.abs(back - x).max() <= 0.5 / 255 + 1e-6


def test_float64_for_a_float_model_is_said():
    vectors, how = prepare(raw(np.full((1, 6), 0.1)), FLOAT, "none")
    assert vectors.x.dtype == np.float32
    assert how == "host: float64 to float32"
    assert prepare(raw(np.zeros((1, 6), np.float32)), FLOAT, "none")[1] == "none"


@pytest.mark.parametrize(
    ("dtype", "tensor", "quantise", "expected"),
    [
        (np.float32, INT8, "none", "vectors 'v': float32 for an int8 model and quantise is 'none'; set quantise = \"host\", or store x as int8"),
        (np.int8, FLOAT, "host", "vectors 'v': int8, the model takes float32; store x as float32 in the model's real-valued range"),
        (np.uint8, FLOAT, "host", "vectors 'v': uint8, the model takes float32; store x as float32 in the model's real-valued range"),
        (np.int64, INT8, "host", "vectors 'v': int64, the model takes int8; store x as int8, or as float32 with quantise = \"host\""),
        (np.uint8, INT8, "host", "vectors 'v': uint8, the model takes int8; set quantise = \"offset128\" if its bytes are quantised values, so that x - 128 is int8"),
    ],
)  # fmt: skip
def test_dtypes_that_do_not_fit(dtype, tensor, quantise, expected):
    assert sentence(prepare, raw(np.zeros((2, 6), dtype)), tensor, quantise) == expected


def test_input_without_a_scale():
    tensor = TensorInfo("in", (1, 6), "int8", 0.0, 0)
    assert sentence(prepare, raw(np.zeros((2, 6))), tensor, "host") == (
        "vectors 'v': model input 'in' has scale 0, cannot quantise; "
        'store x as int8 with quantise = "none"'
    )


@pytest.mark.parametrize(("value", "word"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf")])
@pytest.mark.parametrize("tensor", [INT8, FLOAT])
def test_not_finite(value, word, tensor):
    x = np.zeros((3, 2, 3), np.float32)
    x[1, 1, 2] = x[2, 0, 0] = value
    assert sentence(prepare, raw(x), tensor, "host") == (
        f"vectors 'v': element 5 of vector 1 is {word}; 2 values are not finite, clean x"
    )


def test_float64_beyond_float32():
    x = np.zeros((1, 6))
    x[0, 3] = 1e300
    assert sentence(prepare, raw(x), FLOAT, "host").startswith(
        "vectors 'v as float32': element 3 of vector 0 is inf"
    )


# --- subset


def test_subset_takes_the_first(tmp_path):
    x = np.arange(24, dtype=np.int8).reshape(4, 6)
    vectors = prepare(raw(x, np.arange(4)), INT8, "none")[0]
    part = subset(vectors, 2)
    assert part.x.reshape(2, 6).tolist() == x[:2].tolist()
    assert part.y.tolist() == [0, 1]
    assert part.sha256 == vectors.sha256
    assert subset(vectors, 4).x.shape == vectors.x.shape


@pytest.mark.parametrize("n", [0, -1, 5])
def test_subset_out_of_range(n):
    vectors = prepare(raw(np.zeros((4, 6), np.int8)), INT8, "none")[0]
    assert sentence(subset, vectors, n) == f"vectors 'v': {n} asked for, choose 1..4"


def test_bytes_of_images_become_int8_as_on_mlperf_devices():
    x = np.array([[0, 1, 127, 128, 254, 255]], np.uint8)
    vectors, how = prepare(raw(x), INT8, "offset128")
    assert vectors.x.dtype == np.int8
    assert vectors.x.reshape(-1).tolist() == [-128, -127, -1, 0, 126, 127]
    assert how == "host: uint8 - 128"
