"""Flash and RAM of an image: against the toolchain's own `size`."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from hilbench.errors import ImageError
from hilbench.measurement.memory import image_memory

SOURCE = """
int zeroed[1000];
int started[50] = {1};
const int table[300] = {2};
int main(void) { return zeroed[0] + started[1] + table[2]; }
"""


@pytest.mark.firmware
@pytest.mark.skipif(
    not shutil.which("gcc") or not shutil.which("size"), reason="needs gcc and size"
)
def test_against_size(tmp_path):
    (tmp_path / "m.c").write_text(SOURCE)
    elf = tmp_path / "m.elf"
    subprocess.run(["gcc", "-static", "-o", elf, tmp_path / "m.c"], check=True, timeout=60)
    berkeley = subprocess.run(["size", elf], check=True, capture_output=True, text=True, timeout=60)
    text, data, bss = (int(v) for v in berkeley.stdout.splitlines()[1].split()[:3])
    found = image_memory(elf.read_bytes(), "m.elf")
    # size counts thread-local .tbss as bss as well and all constants as text
    assert found.text_bytes + found.rodata_bytes == text
    assert found.data_bytes == data
    assert found.bss_bytes == bss
    assert found.bss_bytes >= 4000
    assert found.rodata_bytes >= 1200
    assert found.flash_bytes == text + data
    assert found.ram_bytes == data + bss
    assert dict(found.sections)[".text"] > 0


def test_not_an_elf():
    with pytest.raises(ImageError) as caught:
        image_memory(b"hello", "build/x.elf")
    assert str(caught.value).startswith("build/x.elf is not an ELF image: ")
    assert str(caught.value).endswith("; build it again")


def test_empty_file():
    with pytest.raises(ImageError, match="is not an ELF image"):
        image_memory(b"", "x.elf")
