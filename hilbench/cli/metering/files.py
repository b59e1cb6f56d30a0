"""Files of samples: read, written, drawn. A name's ending says what is in it."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from hilbench import plugins
from hilbench.errors import ToolMissingError, UsageError
from hilbench.power import Chunk, MeterSetup, Recording, Window
from hilbench.recordings import write_evidence

FORMATS = ("npz", "jls", "csv")
PLOTS = ("png", "svg")
_PACKAGES = {"jls": ("pyjls", "joulescope"), "png": ("matplotlib", "plots")}
_PACKAGES["svg"] = _PACKAGES["png"]


def format_of(path: Path, named: str | None) -> str:
    """Return what is to be written.

    Raises:
        UsageError: neither --format nor the name's ending says it.
    """
    ending = path.suffix.removeprefix(".").lower()
    if named is None and ending not in FORMATS:
        raise UsageError(
            f"{path}: its ending is none of .{', .'.join(FORMATS)}; use one, or say --format"
        )
    return named or ending


def check_target(path: Path | None, named: str | None) -> None:
    """See before a capture that its file can be written after it.

    Raises:
        UsageError: it exists, or nothing says its format.
        ToolMissingError: the format's package is not installed.
    """
    if path is not None:
        _check_free(path)
        _check_package(path, format_of(path, named))


def check_plot(path: Path | None) -> None:
    """See before a capture that it can be drawn after it.

    Raises:
        UsageError: it exists, or is neither .png nor .svg.
        ToolMissingError: matplotlib is not installed.
    """
    if path is None:
        return
    _check_free(path)
    ending = path.suffix.removeprefix(".").lower()
    if ending not in PLOTS:
        raise UsageError(f"{path}: a plot ends in .{' or .'.join(PLOTS)}; name it so")
    _check_package(path, ending)


def _check_free(path: Path) -> None:
    if path.exists():
        raise UsageError(f"{path} exists; move it away or name another file")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"{path}: there is no folder {path.parent}; make it first")


def _check_package(path: Path, kind: str) -> None:
    package, extra = _PACKAGES.get(kind, ("", ""))
    if package and importlib.util.find_spec(package) is None:
        raise ToolMissingError(f'{path}: needs {package}: pip install "hilbench[{extra}]"')


def load(path: Path, setup: MeterSetup, filter_: str | None) -> Recording:
    """Open evidence, or a file that the replay meter reads.

    Args:
        path: what and where.
        setup: what the file does not say; supply_v NaN: nobody does.
        filter_: what stands for samples during a range switch; None: as it was captured.

    Raises:
        UsageError: not there, or it has no vendor's filter.
        HilbenchError: as ``open_recording`` of the replay meter.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such file; name what `hilbench meter capture -o` wrote")
    recording: Recording = plugins.load("power", "replay").open_recording(path, setup)
    captured_by_vendor = dict(recording.setup.args).get("filter") == "vendor"
    if filter_ == "hold-forward" and captured_by_vendor:
        raise UsageError(
            f"--filter hold-forward: {path} was captured with filter = vendor and shows that; "
            "capture without it: then both can be seen"
        )
    if filter_ == "vendor" and not captured_by_vendor:
        return Vendor(path, recording)
    return recording


def windows_of(recording: Recording) -> tuple[Window, ...]:
    """Return the windows that evidence of a run holds; none of other recordings."""
    found: tuple[Window, ...] = getattr(recording, "windows", ())
    return found


class Vendor:
    """A recording as the vendor's own filter shows it. See ``Recording``.

    Raises:
        UsageError: its meter has no such filter.
    """

    def __init__(self, path: Path, recording: Recording) -> None:
        self.identity, self.spec = recording.identity, recording.spec
        self.setup = replace(recording.setup, args=(*recording.setup.args, ("filter", "vendor")))
        self.end = recording.end
        self.windows = windows_of(recording)
        self._recording, self._path = recording, path

    def chunks(self) -> Iterator[Chunk]:
        """Yield all chunks from index 0 on, without holes between them."""
        for chunk in self._recording.chunks():
            if chunk.vendor_a is None and chunk.valid.any():
                raise UsageError(
                    f"--filter vendor: {self._path} is of a {self.identity.model or 'meter'}, "
                    "which has no such filter; leave it out"
                )
            current = chunk.current_a if chunk.vendor_a is None else chunk.vendor_a
            yield replace(chunk, current_a=current)


def save(recording: Recording, path: Path, named: str | None) -> None:
    """Write a recording whole.

    Raises:
        StoreError: not written, or it does not decode to what was measured.
        ToolMissingError: the format's package is not installed.
    """
    kind = format_of(path, named)
    if kind == "npz":
        write_evidence(path, recording, (), None)
        return
    from hilbench.runs.export_csv import export_csv  # noqa: PLC0415 - pandas takes a second
    from hilbench.runs.export_jls import export_jls  # noqa: PLC0415

    if kind == "jls":
        export_jls(recording, path)
    else:
        export_csv(recording, path)


def plot(recording: Recording, path: Path, windows: Sequence[Window]) -> None:
    """Draw a recording, its windows shaded.

    Raises:
        ToolMissingError: matplotlib is not installed.
        StoreError: not written.
    """
    from hilbench.report.waveform import plot_waveform  # noqa: PLC0415 - with pandas

    plot_waveform(recording, windows, path)
