"""One hash over everything that a firmware image is compiled from.

A plain script too (``python3 hilbench/board/sources.py PORT`` prints the hash), so that the
firmware's Makefile and the check for a stale image use the same code; no imports but the standard
library.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

FIRMWARE = Path(__file__).resolve().parents[2] / "device_firmware"


def sources_sha256(port: str, firmware: Path = FIRMWARE) -> str:
    """Return the SHA-256 (hex) over the paths and contents of a port's sources.

    Per file, in order of its path below ``firmware``: path, NUL, SHA-256 of the file in hex,
    newline.

    Raises:
        FileNotFoundError: there is no such port.
    """
    port_folder = firmware / "ports" / port
    if not port_folder.is_dir():
        raise FileNotFoundError(port_folder)
    folders = [
        firmware / name for name in ("core", "include", "runtimes", f"ports/{port}", "ports/shared")
    ]
    files = {
        file.relative_to(firmware).as_posix(): file
        for folder in folders
        for file in folder.rglob("*")
        if file.is_file()
    }
    total = hashlib.sha256()
    for path in sorted(files):
        digest = hashlib.sha256(files[path].read_bytes()).hexdigest()
        total.update(f"{path}\0{digest}\n".encode())
    return total.hexdigest()


if __name__ == "__main__":
    print(sources_sha256(sys.argv[1]))
