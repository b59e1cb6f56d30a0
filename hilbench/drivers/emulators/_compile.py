"""Programs that are compiled when first needed and kept below ``$XDG_CACHE_HOME/hilbench``."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hilbench.errors import ToolMissingError

_TIMEOUT_S = 120.0


def compiled(
    name: str, command: Sequence[str], folder: Path, *, install: str, why: str, version: str = ""
) -> Path:
    """Return what a compiler makes of C sources, compiling unless these were compiled before.

    Args:
        name: of the file that is made.
        command: compiler, options and sources, without ``-o``.
        folder: where the sources are.
        install: the line that installs what is needed.
        why: who needs it, with a verb: "emulated AVR boards need it".
        version: of what the file works with, where the sources cannot tell.

    Raises:
        ToolMissingError: no compiler, or it fails; names the install line.
    """
    if (compiler := shutil.which(command[0])) is None:
        raise ToolMissingError(
            f"{command[0]} is not installed and {why}; install it with: {install}"
        )
    # What the preprocessor makes of it is what is compiled: headers and their versions included.
    only_linked = ("-l", "-Wl", "-shared")
    preprocess = (compiler, *(a for a in command[1:] if not a.startswith(only_linked)), "-E", "-P")
    text = _run(preprocess, folder)
    if isinstance(text, bytes):
        key = hashlib.sha256(text + "\0".join((*command, version)).encode()).hexdigest()[:16]
        path = _cache_folder() / key / name
        if path.exists():
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as work:
            built = Path(work) / name
            text = _run((compiler, *command[1:], "-o", str(built)), folder)
            if isinstance(text, bytes):
                built.rename(path)  # whole or not at all, whoever else builds it
                return path
    raise ToolMissingError(
        f"{name} cannot be built and {why} ({text}); install what it needs with: {install}"
    )


def _run(command: Sequence[str], folder: Path) -> bytes | str:
    """Return what a compiler printed, or the line that says why it failed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=_TIMEOUT_S)
    if done.returncode == 0:
        return done.stdout
    lines = done.stderr.decode(errors="replace").splitlines()
    return next((line.strip() for line in lines if "error:" in line), f"exit {done.returncode}")


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "hilbench"
