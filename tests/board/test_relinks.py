"""Links in other orders: other addresses, the same code."""

from __future__ import annotations

import shutil

import pytest
from elftools.elf.elffile import ELFFile

from hilbench.board.relinks import relinks
from hilbench.board.sources import FIRMWARE
from hilbench.errors import ImageError, ToolMissingError, UsageError


def functions(image):
    """Address of each function."""
    with image.path.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        return {
            s.name: s["st_value"]
            for s in table.iter_symbols()
            if s["st_info"]["type"] == "STT_FUNC" and s.name.startswith("hb_")
        }


@pytest.mark.skipif(shutil.which("avr-gcc") is None, reason="needs avr-gcc")
def test_links_have_the_same_functions_elsewhere(tmp_path):
    first, second = relinks("atmega328p", 2, 1, tmp_path / "a")
    assert first.build_id != second.build_id
    places = [functions(image) for image in (first, second)]
    assert places[0].keys() == places[1].keys()
    assert sum(places[0][n] != places[1][n] for n in places[0]) > len(places[0]) / 2


def test_what_cannot_be_linked(tmp_path, monkeypatch):
    with pytest.raises(UsageError) as caught:
        next(relinks("uno", 3, 1, tmp_path))
    assert str(caught.value) == (
        f"{FIRMWARE} has no sources of port 'uno' to link anew; use a checkout of hilbench"
    )
    broken = tmp_path / "firmware"
    (broken / "ports/x").mkdir(parents=True)
    (broken / "Makefile").write_text("image:\n\t@echo no such compiler >&2; false\n")
    with pytest.raises(ImageError) as caught:
        next(relinks("x", 3, 1, tmp_path, broken))
    assert str(caught.value) == (
        f"port x cannot be linked (no such compiler); try: make -C {broken} PORT=x"
    )
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ToolMissingError) as caught:
        next(relinks("x", 3, 1, tmp_path, broken))
    assert str(caught.value) == "links need make; install it: apt-get install make"
