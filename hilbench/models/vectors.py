"""Test vectors: from files to what one model takes, with hashes and nothing silent on the way."""

from __future__ import annotations

import csv
import hashlib
import itertools
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hilbench.errors import VectorError
from hilbench.records import TensorInfo, VectorsConfig, VectorSet

INT8_MIN, INT8_MAX = -128, 127
BIN_DTYPES = ("int8", "uint8", "float32")  # of .bin files
LABELS_FILE = "y_labels.csv"  # of a folder as MLPerf Tiny's runner has it
_LABEL_FIELDS = (3, 5)  # file, n_classes, class[, window_bytes, stride_bytes]


@dataclass(frozen=True)
class RawVectors:
    """Vectors as their files have them: ``x`` [n, ...] of any dtype, ``y`` [n, ...] or None.

    ``more`` are the arrays of further inputs, where a model has several.
    """

    name: str
    x: NDArray[np.generic]
    y: NDArray[np.generic] | None
    sha256: str  # of the file; of several files: of what `sha256sum` prints for them
    metric: str
    more: tuple[NDArray[np.generic], ...] = ()


def load_vectors(config: VectorsConfig) -> RawVectors:
    """Read .npz (x, y), .npy with a label a line, or a folder of .bin files with y_labels.csv.

    For a model with several inputs an .npz has x0, x1, … in the model's order instead of x.
    A file that y_labels.csv cuts in windows gives one vector a window, its label repeated.

    Raises:
        VectorError: a file is absent, corrupt or empty, or x and y do not belong together.
    """
    y: NDArray[np.generic] | None
    more: tuple[NDArray[np.generic], ...] = ()
    if config.labels is not None and config.file.suffix != ".npy":
        raise VectorError(f"{config.file}: labels belong to .npy files; this one has its own")
    if config.dtype is not None and not config.file.is_dir():
        raise VectorError(f"{config.file}: dtype belongs to folders of .bin files; leave it out")
    if config.file.is_dir():
        x, y, sources = _read_folder(config)
    elif config.file.suffix == ".npz":
        (x, *rest), y = _read_npz(config.file)
        more = tuple(rest)
        sources = [config.file]
    else:
        x, y = _read_array(config.file), _read_labels(config.labels)
        sources = [config.file, *([config.labels] if config.labels else [])]
    for array in (x, *more):
        _check_pair(config, array, y)
    if any(len(array) != len(x) for array in more):
        lengths = ", ".join(str(len(array)) for array in (x, *more))
        raise VectorError(f"{config.file}: x0, x1, … hold {lengths} vectors, must be as many each")
    return RawVectors(config.name, x, y, _sha256(sources), config.metric, more)


def prepare(raw: RawVectors, tensor: TensorInfo, quantise: str) -> tuple[VectorSet, str]:
    """Make vectors ready for a model's input.

    Float vectors for an int8 model become ``clip(rint(x / scale) + zero_point, -128, 127)`` in
    float32 arithmetic, ties to even.

    Args:
        raw: of :func:`load_vectors`.
        tensor: the model's input; a leading batch of 1 in its shape is no dimension of a vector.
        quantise: "host" lets the host quantise float vectors, "offset128" turns uint8 into int8 by
            x - 128 (MLPerf Tiny, ic and vww), "none" refuses both for int8 models.

    Returns:
        x as [n, *tensor.shape] without a leading batch of 1, in the tensor's dtype; and what was done to it ("none" or
        "host: scale 0.0039 zero point -128").

    Raises:
        VectorError: shape or dtype do not fit, or a value is not finite.
    """
    x = _shaped(raw, tensor)
    _check_finite(raw.name, x)
    converted, how = _converted(raw.name, x, tensor, quantise)
    vectors = VectorSet(raw.name, np.ascontiguousarray(converted), raw.y, raw.sha256, raw.metric)
    return vectors, how


def prepare_inputs(
    raw: RawVectors, tensors: Sequence[TensorInfo], quantise: str
) -> tuple[VectorSet, str]:
    """Make vectors ready for all inputs of a model, each as :func:`prepare` does.

    Raises:
        VectorError: as prepare, or not one array per input.
    """
    if len(raw.more) + 1 != len(tensors):
        arrays = ", ".join(f"x{i}" for i in range(len(tensors))) if len(tensors) > 1 else "x"
        raise VectorError(
            f"vectors {raw.name!r}: {len(raw.more) + 1} arrays of inputs, the model has "
            f"{len(tensors)} inputs; save an .npz with {arrays}"
        )
    ready = [
        prepare(replace(raw, x=x, more=()), tensor, quantise)
        for x, tensor in zip((raw.x, *raw.more), tensors, strict=True)
    ]
    first, how = ready[0]
    if len(ready) > 1:
        how = "; ".join(f"x{i} {said}" for i, (_, said) in enumerate(ready))
    return replace(first, more=tuple(vectors.x for vectors, _ in ready[1:])), how


def subset(vectors: VectorSet, n: int) -> VectorSet:
    """Return the first n vectors, always the same ones; the hash stays that of the whole file.

    Raises:
        VectorError: n is not between 1 and the number of vectors.
    """
    available = len(vectors.x)
    if not 1 <= n <= available:
        raise VectorError(f"vectors {vectors.name!r}: {n} asked for, choose 1..{available}")
    y = None if vectors.y is None else vectors.y[:n]
    return replace(vectors, x=vectors.x[:n], y=y, more=tuple(x[:n] for x in vectors.more))


def _shaped(raw: RawVectors, tensor: TensorInfo) -> NDArray[np.generic]:
    got, want = raw.x.shape[1:], tensor.shape
    if len(want) > 1 and want[0] == 1:
        want = want[1:]
    if got in {want, tensor.shape, (tensor.size,)}:
        return raw.x.reshape(len(raw.x), *want)
    raise VectorError(
        f"vectors {raw.name!r}: shape [n, {_join(got)}], the model takes [n, {_join(want)}] or "
        f"[n, {tensor.size}]; reshape x"
    )


def _join(shape: tuple[int, ...]) -> str:
    return ", ".join(str(s) for s in shape)


def _check_finite(name: str, x: NDArray[np.generic]) -> None:
    if x.dtype.kind != "f":
        return
    bad = np.argwhere(~np.isfinite(x.reshape(len(x), -1).astype(np.float64)))
    if len(bad):
        vector, element = (int(v) for v in bad[0])
        value = x.reshape(len(x), -1)[vector, element]
        raise VectorError(
            f"vectors {name!r}: element {element} of vector {vector} is {value}; "
            f"{len(bad)} values are not finite, clean x"
        )


def _converted(
    name: str, x: NDArray[np.generic], tensor: TensorInfo, quantise: str
) -> tuple[NDArray[np.generic], str]:
    if x.dtype == np.dtype(tensor.dtype):
        return x, "none"
    if x.dtype == np.uint8 and tensor.dtype == "int8" and quantise == "offset128":
        return (x.astype(np.int16) - 128).astype(np.int8), "host: uint8 - 128"
    if x.dtype.kind == "f" and tensor.dtype == "float32":
        return _narrowed(name, x), f"host: {x.dtype} to float32"
    if x.dtype.kind == "f" and tensor.dtype == "int8":
        if quantise == "none":
            raise VectorError(
                f"vectors {name!r}: {x.dtype} for an int8 model and quantise is 'none'; "
                f'set quantise = "host", or store x as int8'
            )
        return _quantised(name, x, tensor)
    if tensor.dtype == "float32":
        advice = "store x as float32 in the model's real-valued range"
    else:
        advice = f'store x as {tensor.dtype}, or as float32 with quantise = "host"'
    if x.dtype == np.uint8 and tensor.dtype == "int8":
        advice = (
            'set quantise = "offset128" if its bytes are quantised values, so that x - 128 is int8'
        )
    raise VectorError(f"vectors {name!r}: {x.dtype}, the model takes {tensor.dtype}; {advice}")


def _narrowed(name: str, x: NDArray[np.generic]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # found and refused below
        narrow = x.astype(np.float32)
    _check_finite(f"{name} as float32", narrow)
    return narrow


def _quantised(
    name: str, x: NDArray[np.generic], tensor: TensorInfo
) -> tuple[NDArray[np.int8], str]:
    if not tensor.scale > 0:
        raise VectorError(
            f"vectors {name!r}: model input {tensor.name!r} has scale {tensor.scale:g}, cannot "
            f'quantise; store x as int8 with quantise = "none"'
        )
    steps = np.rint(_narrowed(name, x) / np.float32(tensor.scale)) + tensor.zero_point
    quantised = np.clip(steps, INT8_MIN, INT8_MAX).astype(np.int8)
    how = f"host: scale {tensor.scale:.6g} zero point {tensor.zero_point}"
    clipped = int(((steps < INT8_MIN) | (steps > INT8_MAX)).sum())
    if clipped:
        how += f", {clipped} of {steps.size} values clipped"
    return quantised, how


def _read_npz(path: Path) -> tuple[list[NDArray[np.generic]], NDArray[np.generic] | None]:
    try:
        with zipfile.ZipFile(path):  # np.load would take a .npy or a pickle by any name
            pass
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise VectorError(f"{path}: cannot be read as .npz ({error}); write it again") from error
    several = list(itertools.takewhile(arrays.__contains__, (f"x{i}" for i in itertools.count())))
    if "x" not in arrays and not several:
        found = ", ".join(arrays) or "nothing"
        raise VectorError(f"{path}: no array 'x', found {found}; save it as x=…, y=…")
    return [arrays[key] for key in (("x",) if "x" in arrays else several)], arrays.get("y")


def _read_array(path: Path) -> NDArray[np.generic]:
    try:
        array: NDArray[np.generic] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise VectorError(f"{path}: cannot be read as .npy ({error}); write it again") from error
    return array


def _read_labels(path: Path | None) -> NDArray[np.generic] | None:
    """One number a line, no heading."""
    if path is None:
        return None
    values: list[float] = []
    for number, line in enumerate(_text(path).splitlines(), start=1):
        try:
            values.append(float(line))
        except ValueError as error:
            raise VectorError(
                f"{path}: line {number} is {line!r}, must be one number, the label of a vector"
            ) from error
    labels = np.array(values)
    return labels.astype(np.int64) if (labels == np.floor(labels)).all() else labels


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise VectorError(f"{path}: cannot be read ({error})") from error


def _read_folder(
    config: VectorsConfig,
) -> tuple[NDArray[np.generic], NDArray[np.generic], list[Path]]:
    table = config.file / LABELS_FILE
    if config.dtype is None:
        raise VectorError(f"{config.file}: .bin files do not say their dtype; give dtype")
    if config.dtype not in BIN_DTYPES:
        raise VectorError(
            f"{config.file}: dtype {config.dtype!r} is unknown; known: {', '.join(BIN_DTYPES)}"
        )
    dtype = np.dtype(config.dtype).newbyteorder("<")
    vectors: list[NDArray[np.generic]] = []
    labels: list[int] = []
    sources = [table]
    for number, row in enumerate(csv.reader(_text(table).splitlines()), start=1):
        where = f"{table}: line {number}"
        name, label, window, stride = _label_row(row, where)
        path = config.file / name
        for piece in _windows(path, window, stride, where):
            if len(piece) % dtype.itemsize:
                raise VectorError(f"{path}: {len(piece)} bytes are not whole {config.dtype} values")
            vector = np.frombuffer(piece, dtype)
            if vectors and len(vector) != len(vectors[0]):
                raise VectorError(
                    f"{path}: {len(vector)} values, the vectors before it have {len(vectors[0])}"
                )
            vectors.append(vector)
            labels.append(label)
        sources.append(path)
    if not vectors:
        raise VectorError(f"{table}: no vectors; a line is file,n_classes,class")
    return np.stack(vectors), np.array(labels, np.int64), sources


def _label_row(row: list[str], where: str) -> tuple[str, int, int | None, int | None]:
    fields = [field.strip() for field in row]
    numbers = fields[1:]
    if len(fields) not in _LABEL_FIELDS or not all(n.isdecimal() for n in numbers):
        raise VectorError(
            f"{where} is {','.join(row)!r}, must be file,n_classes,class[,window_bytes,stride_bytes]"
        )
    classes, label, *cut = (int(n) for n in numbers)
    if label >= classes:
        raise VectorError(f"{where}: class {label} of {classes} classes; classes count from 0")
    if not cut:
        return fields[0], label, None, None
    if 0 in cut:
        raise VectorError(f"{where}: window and stride must be at least 1 byte")
    return fields[0], label, cut[0], cut[1]


def _windows(path: Path, window: int | None, stride: int | None, where: str) -> list[bytes]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise VectorError(f"{where}: no file {path} ({error.strerror})") from error
    if window is None or stride is None:
        return [data]
    if len(data) < window or (len(data) - window) % stride:
        raise VectorError(
            f"{path}: {len(data)} bytes are not whole windows of {window} bytes, stride {stride}"
        )
    return [data[i : i + window] for i in range(0, len(data) - window + 1, stride)]


def _check_pair(
    config: VectorsConfig, x: NDArray[np.generic], y: NDArray[np.generic] | None
) -> None:
    if x.ndim == 0 or len(x) == 0:
        raise VectorError(f"{config.file}: x holds no vectors; its shape is {list(x.shape)}")
    if x.dtype.kind not in "fiu":
        raise VectorError(f"{config.file}: x is {x.dtype}, must be numbers")
    if config.metric == "none":
        return
    if y is None:
        raise VectorError(
            f"{config.file}: no array 'y', and metric {config.metric!r} needs labels; "
            f'add y, or set metric = "none"'
        )
    if y.ndim == 0 or len(y) != len(x):
        labels = y.size if y.ndim == 0 else len(y)
        raise VectorError(f"{config.file}: {len(x)} vectors but {labels} labels")
    if y.dtype.kind not in "fiu":
        raise VectorError(f"{config.file}: y is {y.dtype}, must be numbers: class numbers from 0")
    if config.metric in {"top1", "auc"} and y.size != len(y):
        raise VectorError(
            f"{config.file}: y has shape {list(y.shape)}, metric {config.metric!r} needs one class "
            "number a vector; of one-hot rows take y.argmax(axis=1)"
        )


def _sha256(paths: list[Path]) -> str:
    digests = [hashlib.sha256(p.read_bytes()).hexdigest() for p in paths]
    if len(paths) == 1:
        return digests[0]
    lines = "".join(f"{d}  {p.name}\n" for d, p in zip(digests, paths, strict=True))
    return hashlib.sha256(lines.encode()).hexdigest()
