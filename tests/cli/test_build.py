"""``hilbench build``: what it refuses before make runs, and what it says when make fails."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hilbench.board.sources import FIRMWARE
from hilbench.cli import main
from hilbench.cli.commands.build import build, firmware_name, library
from hilbench.errors import ImageError, UsageError

HOW = "; docs/runtimes.md says how to make it"


def test_what_boards_toml_calls_an_image():
    assert firmware_name("posix", "plan", FIRMWARE) == "posix"
    assert firmware_name("posix", "tflm", FIRMWARE) == "posix-tflm"


def test_no_such_port_or_runtime_or_checkout(tmp_path):
    with pytest.raises(
        UsageError, match=r"^there is no port 'shared'; known: atmega328p, mps2-an385"
    ):
        firmware_name("shared", "plan", FIRMWARE)
    with pytest.raises(UsageError, match=r"^there is no runtime 'tfl'; known: plan, tflm$"):
        firmware_name("posix", "tfl", FIRMWARE)
    with pytest.raises(
        UsageError, match="no firmware sources beside this package; images are built"
    ):
        firmware_name("posix", "plan", tmp_path)


def test_the_library_is_asked_for(tmp_path):
    lib = tmp_path / "libtensorflow-microlite.a"
    with pytest.raises(UsageError) as raised:
        library("tflm", None, None)
    assert (
        str(raised.value)
        == f"runtime tflm is linked with a library of yours: name it with --tflm-lib{HOW}"
    )
    with pytest.raises(UsageError) as raised:
        library("tflm", lib, None)
    assert str(raised.value) == f"--tflm-lib {lib} is not a file{HOW}"
    lib.write_bytes(b"")
    with pytest.raises(UsageError) as raised:
        library("tflm", lib, None)
    assert (
        str(raised.value)
        == f"runtime tflm needs the library's headers: name them with --tflm-include{HOW}"
    )
    with pytest.raises(UsageError) as raised:
        library("tflm", lib, tmp_path)
    header = "tensorflow/lite/micro/micro_interpreter.h"
    assert str(raised.value) == f"--tflm-include {tmp_path} has no {header}{HOW}"
    with pytest.raises(UsageError, match=r"belong to --runtime tflm, not to 'plan'$"):
        library("plan", lib, None)


def test_where_the_library_is_is_told_to_make(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    header = Path("tree/tensorflow/lite/micro/micro_interpreter.h")
    header.parent.mkdir(parents=True)
    header.write_text("")
    Path("lib.a").write_bytes(b"")
    assert library("tflm", Path("lib.a"), Path("tree")) == [
        f"TFLM_LIB={tmp_path}/lib.a",
        f"TFLM_INCLUDE={tmp_path}/tree",
    ]
    assert library("plan", None, None) == []


@pytest.mark.firmware
@pytest.mark.skipif(shutil.which("make") is None, reason="no make: apt-get install make")
def test_make_alone_asks_for_the_library_too():
    with pytest.raises(ImageError) as raised:
        build("posix", "tflm", ["TFLM_LIB=nowhere.a"], FIRMWARE)
    said = str(raised.value)
    assert said.startswith(
        "the image of port posix with runtime tflm cannot be built (runtimes/tflm/"
    )
    assert 'RUNTIME=tflm needs TFLM_LIB=…/libtensorflow-microlite.a (is "nowhere.a")' in said
    assert "see all of it with: make -C " in said


@pytest.mark.firmware
@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc: apt-get install gcc libc6-dev")
def test_an_image_is_built_and_named(capsys):
    assert main(["build", "--port", "posix"]) == 0
    path, line = capsys.readouterr().out.splitlines()
    assert Path(path) == FIRMWARE / "build/posix/hilbench.elf"
    assert line.endswith('in boards.toml: firmware = "posix"')
