"""Images are found, described from the ELF itself, and refused when stale or contradictory."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from hilbench.board.images import find_image
from hilbench.board.sources import sources_sha256
from hilbench.errors import ImageError

pytestmark = [
    pytest.mark.firmware,
    pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed"),
]
BUILD_ID = "00112233445566778899aabbccddeeff00112233"


def link(path: Path, *flags: str) -> None:
    source = "const char text[100] = {1}; char data[8] = {1}; char zero[64]; void _start(void) {}"
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["gcc", "-x", "c", "-", "-static", "-nostdlib", "-o", str(path), *flags],
        input=source, text=True, check=True,
    )  # fmt: skip


def describe(path: Path, **changes: str) -> None:
    facts = {
        "port": "toy", "build_id": BUILD_ID, "compiler": "gcc 1", "flags": "-O2", "sources_sha256": "",
    }  # fmt: skip
    path.write_text(json.dumps(facts | changes))


@pytest.fixture
def checkout(tmp_path):
    firmware = tmp_path / "device_firmware"
    for folder in ("core", "include", "runtimes", "ports/shared", "ports/toy"):
        (firmware / folder).mkdir(parents=True)
    (firmware / "ports/toy/port.mk").write_text("CC := gcc\n")
    build = firmware / "build/toy"
    link(build / "hilbench.elf", f"-Wl,--build-id=0x{BUILD_ID}")
    describe(build / "image.json", sources_sha256=sources_sha256("toy", firmware))
    return firmware


def test_what_an_image_says_of_itself(checkout):
    image = find_image("toy", checkout)
    sections = dict(image.sections)
    assert (image.port, image.build_id, image.compiler, image.flags) == (
        "toy",
        BUILD_ID,
        "gcc 1",
        "-O2",
    )
    assert image.sha256 == hashlib.sha256(image.path.read_bytes()).hexdigest()
    assert sections[".rodata"] >= 100
    assert sections[".bss"] >= 64
    assert ".comment" not in sections  # takes no memory on the board


def test_an_installed_package_has_no_sources(tmp_path):
    link(tmp_path / "images/toy.elf", f"-Wl,--build-id=0x{BUILD_ID}")
    describe(tmp_path / "images/toy.json")
    image = find_image("toy", tmp_path / "no_checkout", tmp_path / "images")
    assert image.path == tmp_path / "images/toy.elf"


def test_unknown_port(checkout, tmp_path):
    with pytest.raises(ImageError, match=r"^there is no firmware for port 'tou'; known: toy$"):
        find_image("tou", checkout)
    with pytest.raises(ImageError, match=r"^there is no firmware for port 'toy'; known: none$"):
        find_image("toy", tmp_path / "no_checkout", tmp_path / "no_images")


@pytest.mark.parametrize("missing", ["hilbench.elf", "image.json"])
def test_not_built(checkout, missing):
    (checkout / "build/toy" / missing).unlink()
    with pytest.raises(
        ImageError,
        match=rf"^the toy image is not built \(.*{missing} is missing\); build it with: make firmware$",
    ):
        find_image("toy", checkout)


@pytest.mark.parametrize("where", ["core/new.c", "ports/toy/port.mk", "ports/shared/x.h"])
def test_stale(checkout, where):
    (checkout / where).write_text("changed")
    with pytest.raises(
        ImageError, match=r"is older than its sources; build it with: make firmware$"
    ):
        find_image("toy", checkout)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"build_id": "ff" * 20}, "port toy build ffffffffffff"),
        ({"port": "other"}, "port other build"),
    ],
)
def test_description_of_another_image(checkout, changes, said):
    describe(checkout / "build/toy/image.json", **changes)
    with pytest.raises(
        ImageError, match=rf"image\.json is about {said}.*, hilbench\.elf is build 001122"
    ):
        find_image("toy", checkout)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "image.json is not JSON"),
        ("[]", "does not say 'port'"),
        ('{"port": "toy"}', "'build_id'"),
    ],
)
def test_broken_description(checkout, text, sentence):
    (checkout / "build/toy/image.json").write_text(text)
    with pytest.raises(ImageError, match=rf"{sentence}.*; build it again with: make firmware$"):
        find_image("toy", checkout)


def test_not_an_elf(checkout):
    (checkout / "build/toy/hilbench.elf").write_bytes(b"hello")
    with pytest.raises(ImageError, match=r"hilbench.elf is not an ELF file .*; build it again"):
        find_image("toy", checkout)


def test_no_build_id(checkout):
    link(checkout / "build/toy/hilbench.elf", "-Wl,--build-id=none")
    with pytest.raises(ImageError, match=r"has no GNU build id; link it with -Wl,--build-id=sha1$"):
        find_image("toy", checkout)


def test_an_image_with_another_runtime_has_a_name_and_a_folder_of_its_own(checkout):
    for runtime in ("plan", "tflm"):
        (checkout / "runtimes" / runtime).mkdir()
    for missing in ("toy-tfl", "tflm", "toy-", "toy-plan", "tou-tflm"):
        with pytest.raises(ImageError, match=f"no firmware for port '{missing}'; known: toy$"):
            find_image(missing, checkout)
    build = "hilbench build --port toy --runtime tflm"
    with pytest.raises(
        ImageError, match=f"the toy-tflm image is not built .*; build it with: {build}"
    ):
        find_image("toy-tflm", checkout)
    link(checkout / "build/toy-tflm/hilbench.elf", f"-Wl,--build-id=0x{BUILD_ID}")
    about = checkout / "build/toy-tflm/image.json"
    describe(about, port="toy-tflm", sources_sha256=sources_sha256("toy", checkout))
    assert find_image("toy-tflm", checkout).port == "toy-tflm"
    (checkout / "runtimes/tflm/more.cc").write_text("")
    with pytest.raises(ImageError, match=f"older than its sources; build it with: {build}$"):
        find_image("toy-tflm", checkout)
