"""hilbench plan: what a board would execute, without the board."""

from __future__ import annotations

import json
import re
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from types import SimpleNamespace

import pytest

from builders import operator_models as models
from hilbench.bench.session import _check_loaded
from hilbench.board.image_facts import ImageFacts, image_facts
from hilbench.board.images import find_image
from hilbench.cli import main
from hilbench.errors import BoardError, ImageError, UsageError
from hilbench.models.planner import plan_model
from hilbench.models.tflite_file import parse_model
from hilbench.records import Image, Placement
from hilbench.report.memory_chart import live_bytes, memory_rows, memory_svg

MLP = str(Path(__file__).resolve().parents[2] / "hilbench" / "zoo" / "digits" / "mlp_int8.tflite")
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def command(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")

    def run(*args):
        code = main(["plan", *args])
        out = capsys.readouterr()
        return code, [" ".join(line.split()) for line in out.out.splitlines()], out.err

    return run


def test_operators_memory_and_sums(command):
    code, lines, _ = command(MLP, "--kernels", "portable")
    assert code == 0
    assert "0 FULLY_CONNECTED+RELU fc_s8 1x16 1,024 1,168 80" in lines
    assert any(line.startswith("2 SOFTMAX softmax_s8 1x10 0 0 ") for line in lines)
    assert any(re.fullmatch(r"A input 64 \d+ start to 0", line) for line in lines)
    assert any(re.fullmatch(r"D output of 2 SOFTMAX 10 \d+ 2 to end", line) for line in lines)
    assert "plan 1,626 B: 3 operators, constants 1,434 B" in lines
    assert "1,184 multiply-accumulates an inference" in lines
    assert "arena 80 B with input, output and scratch, which is the lower bound" in lines


def test_json_has_every_number(command):
    code, lines, _ = command(MLP, "--kernels", "portable", "--json")
    told = json.loads("\n".join(lines))
    assert code == 0
    assert (told["arena_bytes"], told["arena_bound_bytes"], told["plan_bytes"]) == (80, 80, 1626)
    assert told["pool_bytes"] is None
    assert [o["kernel"] for o in told["operators"]] == ["fc_s8", "fc_s8", "softmax_s8"]
    assert sum(o["constant_bytes"] for o in told["operators"]) == 1434
    placed = told["placements"][0]
    assert 0 <= placed.pop("offset") <= 80 - 64
    assert placed == {"name": "input", "bytes": 64, "first": -1, "last": 0}


def test_kernels_that_nobody_knows(command):
    code, _, err = command(MLP, "--kernels", "abacus")
    assert code == 2
    assert "no plans for kernels 'abacus'; known sets: " in err


def test_an_svg_that_cannot_be_written(command, tmp_path):
    code, _, err = command(MLP, "--kernels", "portable", "--svg", str(tmp_path / "no" / "m.svg"))
    assert code == 2
    assert (
        "m.svg cannot be written (No such file or directory); name another file with --svg" in err
    )


def planned():
    return plan_model(parse_model(models.add_twice(), Path("add.tflite")))


def test_the_picture_has_a_box_for_everything_in_the_arena(tmp_path):
    plan = planned()
    root = ET.fromstring(memory_svg(plan, "a < b"))
    boxes = root.findall(f"{SVG}rect")
    assert len(boxes) == len(plan.placements)
    assert [box.find(f"{SVG}title").text for box in boxes] == [
        f"{p.name}: bytes {p.offset:,} to {p.offset + p.bytes:,}" for p in plan.placements
    ]
    assert root.find(f"{SVG}title").text == "a < b"
    tall = {float(box.get("height")) for box in boxes}
    assert all(0 < h <= 300 for h in tall)
    letters = [t.text for t in root.findall(f"{SVG}text")]
    assert {f"{o.index} {o.name}" for o in plan.operators} <= set(letters)


def test_rows_show_tensors_what_they_share_and_what_is_free():
    plan = SimpleNamespace(
        arena_bytes=80,
        operators=(0, 1),
        placements=(
            Placement("a", 0, 40, -1, 0),
            Placement("b", 20, 40, 0, 1),
            Placement("c", 70, 1, 1, 1),
        ),
    )
    assert memory_rows(plan, 8) == ["AA##BB..", "..BBBB.C"]
    assert [live_bytes(plan, step) for step in (0, 1)] == [60, 41]


@pytest.mark.firmware
@pytest.mark.parametrize(
    ("port", "kernels"), [("posix", "portable"), ("atmega328p", "portable: fc_s8 softmax_s8")]
)
def test_kernels_are_read_from_the_image(port, kernels):
    facts = image_facts(find_image(port))
    assert (facts.runtime, facts.kernels) == ("plan 1", kernels)
    assert (facts.pool_bytes is None) == (port == "posix")


@pytest.mark.firmware
def test_a_board_without_room_is_told(command, tmp_path):
    code, lines, _ = command(MLP, "--board", "uno")
    assert code == 0
    assert any(line.startswith("arena needs 80 B of the board's ") for line in lines)
    _, lines, _ = command(MLP.replace("mlp_int8", "cnn_int8"), "--board", "microbit")
    assert any(line.endswith("does NOT fit") for line in lines)


def test_a_board_that_plans_itself_has_no_plan_to_show():
    assert ImageFacts("plan 1", "portable dsp", 1000).planned_kernels("m4") == "portable dsp"
    with pytest.raises(UsageError) as caught:
        ImageFacts("tflm 5a0c93d1", "cmsis-nn", 1000).planned_kernels("m4-tflm")
    assert str(caught.value) == (
        "board m4-tflm: its runtime 'tflm 5a0c93d1' executes .tflite files and plans their memory "
        "itself; choose a board with the built-in runtime"
    )


def image(path: Path) -> Image:
    return Image("posix", path, "b1", "c1", "gcc", "", ())


def test_what_is_no_elf_or_another_program(tmp_path):
    path = tmp_path / "a.elf"
    path.write_bytes(b"nothing")
    with pytest.raises(ImageError) as caught:
        image_facts(image(path))
    assert str(caught.value) == (
        f"{path} is not a sound ELF file (Magic number does not match); "
        "build it again with: make firmware"
    )
    subprocess.run(
        ["gcc", "-x", "c", "-", "-o", path], input=b"int main(void){return 0;}", check=True
    )
    with pytest.raises(ImageError) as caught:
        image_facts(image(path))
    assert str(caught.value) == (
        f"{path} does not say which runtime and kernels it has (no symbols hb_runtime_text and "
        "hb_kernels_name); build it with: make firmware"
    )


def test_a_board_whose_arena_is_not_the_planned_one_is_refused():
    plan = planned()
    variant = SimpleNamespace(plan=plan, config=SimpleNamespace(name="v"))
    loaded = SimpleNamespace(
        input_bytes=plan.input.bytes,
        output_bytes=plan.output.bytes,
        arena_bytes=plan.arena_bytes,
    )
    _check_loaded("m4", variant, loaded)
    loaded.arena_bytes += 16
    with pytest.raises(BoardError) as caught:
        _check_loaded("m4", variant, loaded)
    assert str(caught.value) == (
        f"board m4: loaded v with input, output and arena of 60, 60 and {plan.arena_bytes + 16} "
        f"bytes, planned were 60, 60 and {plan.arena_bytes}; planner and firmware do not belong "
        "together: run make firmware"
    )
