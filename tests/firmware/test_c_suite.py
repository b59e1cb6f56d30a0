"""The firmware's own C tests, and what its Makefile promises."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from hilbench.board.sources import sources_sha256

ROOT = Path(__file__).parents[2]
FIRMWARE = ROOT / "device_firmware"

pytestmark = [
    pytest.mark.firmware,
    pytest.mark.skipif(
        shutil.which("gcc") is None or shutil.which("make") is None,
        reason="no gcc or no make: apt-get install gcc libc6-dev make",
    ),
]


def make(*arguments, **more):
    """Run make in the firmware's folder, without the flags of a make that runs this test."""
    environment = {k: v for k, v in os.environ.items() if k not in {"MAKEFLAGS", "MAKELEVEL"}}
    return subprocess.run(
        ["make", "-C", str(FIRMWARE), "--no-print-directory", *arguments],
        capture_output=True, text=True, check=False, timeout=300, env=environment, **more,
    )  # fmt: skip


def test_host_tests_pass_under_sanitizers():
    done = make("test")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line for line in done.stdout.splitlines() if line.endswith(": ok")] == [
        "core: ok", "hash: ok", "packet: ok", "resident: ok", "ring: ok",
    ]  # fmt: skip


def test_core_builds_alone():
    done = make("core-alone")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("core alone: ")


@pytest.mark.parametrize(
    ("code", "complaint"),
    [
        (
            'int puts(const char *text);\nvoid leak(void);\nvoid leak(void) { puts(""); }\n',
            "core/ needs what no port supplies: puts",
        ),
        (
            "__attribute__((weak)) void weak(void);\nvoid weak(void) {}\n",
            "core/ has weak symbols",
        ),
    ],
)  # fmt: skip
def test_core_alone_notices(tmp_path, code, complaint):
    source = tmp_path / "hb_bad.c"
    source.write_text(code)
    done = make("core-alone", f"CORE_SOURCES={source}", f"ALONE={tmp_path}")
    assert done.returncode != 0
    assert complaint in done.stdout


def test_arm_port_without_the_flag_is_refused(tmp_path):
    port = FIRMWARE / "ports" / "posix" / "port.mk"
    assert port.exists()
    done = make("-n", "PORT=posix", "CC=arm-none-eabi-gcc")
    assert done.returncode != 0
    assert (
        "ports/posix/port.mk must add -fno-move-loop-stores to CFLAGS: "
        "gcc 12.2 duplicates a volatile store without it" in done.stderr
    )


def test_port_without_compiler_is_left_out_with_the_line_that_adds_it(tmp_path):
    none = [f"{name}=no-such-" for name in ("CROSS", "CROSS_AVR", "RISCV_CROSS")]
    done = make("all", "HOST_CC=no-such-cc", *none)
    assert done.returncode == 0, done.stderr
    assert "left out: posix, there is no no-such-cc; add it with: install no-such-cc" in done.stdout
    assert "hilbench.elf" not in done.stdout


def test_posix_image_describes_itself():
    done = make("PORT=posix")
    assert done.returncode == 0, done.stderr
    folder = FIRMWARE / "build" / "posix"
    image = json.loads((folder / "image.json").read_text(encoding="utf-8"))
    assert image["port"] == "posix"
    assert bytes.fromhex(image["build_id"]) in (folder / "hilbench.elf").read_bytes()
    assert image["sources_sha256"] == sources_sha256("posix")
    assert "-O2" in image["flags"]
    assert '-DHB_PORT_NAME="posix"' in image["flags"]


def test_source_hash_sees_every_change(tmp_path):
    def tree(**files):
        for name in ("ports/p", "ports/q"):
            (tmp_path / name).mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return sources_sha256("p", tmp_path)

    first = tree(core__a="1", runtimes__r__b="2")
    assert tree() == first
    assert tree(core__a="11") != first
    assert tree(core__a="1") == first
    assert tree(ports__q__x="another port's") == first
    assert tree(ports__p__x="this port's") != first
    with pytest.raises(FileNotFoundError):
        sources_sha256("none", tmp_path)


@pytest.mark.skipif(shutil.which("clang") is None, reason="no clang: apt-get install clang")
def test_fuzz_smoke():
    done = make("fuzz", "FUZZ_SECONDS=3")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def test_other_flags_build_the_image_again_and_are_told(tmp_path):
    build = ("PORT=posix", f"BUILD={tmp_path}", "RUNTIME_SOURCES=tests/fake_runtime.c")
    build += ("PORT_SOURCES=tests/fake_port.c", "MAIN_SOURCE=ports/shared/main.c")
    build += ("RESIDENT_SOURCE=",)

    def image(*more):
        done = make(*build, *more)
        assert done.returncode == 0, done.stderr
        return json.loads((tmp_path / "image.json").read_text(encoding="utf-8"))

    first = image()
    assert image() == first
    faster = image("O3_SOURCES=core/hb_sha256.c")
    assert faster["flags"].endswith(" core/hb_sha256.c:-O3")
    assert faster["build_id"] != first["build_id"]
    assert image() == first
