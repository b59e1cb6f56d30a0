"""Where a run's numbers come from: versions, git state, command line, configuration hashes."""

from __future__ import annotations

import hashlib
import platform
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

import hilbench
from hilbench.errors import StoreError
from hilbench.runs.journal import utc_now
from hilbench.runs.schema import ProvenanceRecord, ResumedRecord

PACKAGES = (
    "ai-edge-litert", "cobs", "numpy", "pandas", "pyarrow", "pyelftools", "pyserial", "tflite",
    "tflite-micro", "tflite-runtime",
)  # fmt: skip
_GIT_TIMEOUT_S = 10.0
_CODE = ("hilbench", "device_firmware", "pyproject.toml")  # what can change a number
_CHECKOUT = Path(hilbench.__file__).resolve().parent.parent


def provenance(
    name: str,
    *,
    cells: Sequence[tuple[str, str]],
    sessions: int,
    warm_up: int,
    iterations: int,
    files: Sequence[Path] = (),
    inputs: Mapping[str, str] | None = None,
) -> ProvenanceRecord:
    """Collect it.

    Args:
        name: short name of the run; becomes part of its folder's name.
        cells: board and variant of everything that will be measured.
        sessions: of each cell.
        warm_up: untimed inferences of each session.
        iterations: timed inferences of each session.
        files: configuration files to hash.
        inputs: what a resumed run must have again: name to value or SHA-256.

    Raises:
        StoreError: one of the files cannot be read.
    """
    now = utc_now()
    short = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.") or "run"
    commit, dirty = git_state(_CHECKOUT)
    return ProvenanceRecord(
        name=name,
        run_id=f"{now:%Y%m%d-%H%M%S}-{short}",
        started_utc=now.isoformat(timespec="seconds"),
        hilbench=hilbench.__version__,
        python=platform.python_version(),
        platform=platform.platform(),
        packages=installed_versions(),
        git_commit=commit,
        git_dirty=dirty,
        argv=tuple(sys.argv),
        files={str(path): _sha256(path) for path in files},
        cells=tuple(cells),
        sessions=sessions,
        warm_up=warm_up,
        iterations=iterations,
        inputs=dict(inputs or {}),
    )


def resumed() -> ResumedRecord:
    """Return who goes on with a run, and when."""
    commit, dirty = git_state(_CHECKOUT)
    return ResumedRecord(
        resumed_utc=utc_now().isoformat(timespec="seconds"),
        hilbench=hilbench.__version__,
        git_commit=commit,
        git_dirty=dirty,
        packages=installed_versions(),
        argv=tuple(sys.argv),
    )


def installed_versions() -> dict[str, str]:
    """Return the versions of those packages that can change a number; absent ones are left out."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def git_state(folder: Path) -> tuple[str | None, bool | None]:
    """Return commit and whether the code differs from it; None twice unless folder is a checkout.

    A folder inside somebody else's checkout is not one: its commit would say nothing.
    """
    top = _git(folder, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != folder.resolve():
        return None, None
    commit = _git(folder, "rev-parse", "HEAD")
    status = _git(folder, "status", "--porcelain", "--", *_CODE)
    return commit, None if status is None else bool(status)


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True, text=True, timeout=_GIT_TIMEOUT_S, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise StoreError(f"{path}: cannot be hashed ({error.strerror})") from error
