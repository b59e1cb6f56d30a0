"""Built firmware images: where they are, what they say of themselves, whether they are current.

In a checkout images come from ``device_firmware/build/<port>/``, with another runtime than the
built-in one from ``build/<port>-<runtime>/``; in an installed package from
``hilbench/images/<port>.elf`` and ``<port>.json``.
"""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from hilbench.board.sources import FIRMWARE, sources_sha256
from hilbench.errors import ImageError
from hilbench.records import Image

PACKAGED = Path(__file__).resolve().parents[1] / "images"
_KEYS = ("port", "build_id", "compiler", "flags", "sources_sha256")
_SHF_ALLOC = 2
_MAKE = "make firmware"
_BUILT_IN = "plan"  # the runtime of `make firmware`


def find_image(name: str, firmware: Path = FIRMWARE, packaged: Path = PACKAGED) -> Image:
    """Return a firmware's image.

    Args:
        name: a port, e.g. ``mps2-an386``; with another runtime than the built-in one
            ``<port>-<runtime>``, e.g. ``mps2-an386-tflm``.
        firmware: ``device_firmware`` of a checkout; where it has no ports, ``packaged`` is used.
        packaged: folder of an installed package with ``<port>.elf`` and ``<port>.json``.

    Raises:
        ImageError: no such port, not built, stale, or its files contradict each other.
    """
    if (firmware / "ports").is_dir():
        port, how = split_firmware(name, firmware)
        build = firmware / "build" / name
        image, about = _read(name, build / "hilbench.elf", build / "image.json", how)
        if about["sources_sha256"] != sources_sha256(port, firmware):
            raise ImageError(
                f"the {name} image {image.path} is older than its sources; build it with: {how}"
            )
        return image
    known = tuple(sorted(p.stem for p in packaged.glob("*.elf")))
    if name not in known:
        raise _unknown(name, known)
    return _read(name, packaged / f"{name}.elf", packaged / f"{name}.json", _MAKE)[0]


def split_firmware(name: str, firmware: Path = FIRMWARE) -> tuple[str, str]:
    """Return the port of a firmware's name, and the command that builds its image.

    Raises:
        ImageError: no such port or runtime.
    """
    ports = tuple(sorted(p.parent.name for p in (firmware / "ports").glob("*/port.mk")))
    if name in ports:
        return name, _MAKE
    for folder in (firmware / "runtimes").iterdir():
        port = name.removesuffix(f"-{folder.name}")
        if folder.name != _BUILT_IN and port != name and port in ports:
            return port, f"hilbench build --port {port} --runtime {folder.name}"
    raise _unknown(name, ports)


def _unknown(name: str, known: tuple[str, ...]) -> ImageError:
    return ImageError(
        f"there is no firmware for port {name!r}; known: {', '.join(known) or 'none'}"
    )


def _read(port: str, elf: Path, about: Path, how: str) -> tuple[Image, dict[str, str]]:
    try:
        data, facts = elf.read_bytes(), _facts(about)
    except FileNotFoundError as error:
        raise ImageError(
            f"the {port} image is not built ({error.filename} is missing); build it with: {how}"
        ) from None
    build_id, sections = _inspect(elf, data)
    if (facts["port"], facts["build_id"]) != (port, build_id):
        raise ImageError(
            f"{about} is about port {facts['port']} build {facts['build_id'][:12]}, {elf.name} is "
            f"build {build_id[:12]}; build it again with: make firmware"
        )
    image = Image(
        port=port,
        path=elf,
        build_id=build_id,
        sha256=hashlib.sha256(data).hexdigest(),
        compiler=facts["compiler"],
        flags=facts["flags"],
        sections=sections,
    )
    return image, facts


def _facts(path: Path) -> dict[str, str]:
    try:
        facts: Any = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ImageError(
            f"{path} is not JSON ({error}); build it again with: make firmware"
        ) from error
    missing = [key for key in _KEYS if not isinstance(facts, dict) or key not in facts]
    if missing:
        raise ImageError(f"{path} does not say {missing[0]!r}; build it again with: make firmware")
    return {key: str(facts[key]) for key in _KEYS}


def _inspect(path: Path, data: bytes) -> tuple[str, tuple[tuple[str, int], ...]]:
    """Return the GNU build id and ``(name, bytes)`` of each section that takes memory on the board."""
    try:
        elf = ELFFile(io.BytesIO(data))
        sections = tuple(
            (str(s.name), int(s["sh_size"]))
            for s in elf.iter_sections()
            if s["sh_flags"] & _SHF_ALLOC and s["sh_size"]
        )
        note: Any = elf.get_section_by_name(".note.gnu.build-id")
        notes = [n for n in note.iter_notes() if n["n_type"] == "NT_GNU_BUILD_ID"] if note else []
    except ELFError as error:
        raise ImageError(
            f"{path} is not an ELF file ({error}); build it again with: make firmware"
        ) from error
    if not notes:
        raise ImageError(f"{path} has no GNU build id; link it with -Wl,--build-id=sha1")
    return str(notes[0]["n_desc"]), sections
