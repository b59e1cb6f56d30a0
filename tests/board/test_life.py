"""Who answers is checked before anything is measured."""

from __future__ import annotations

import os
import pty
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from hilbench.board.life import OpenBoard, check_identity, clock_info, is_pty
from hilbench.errors import BoardError, ImageError
from hilbench.protocol.messages import HelloReply
from hilbench.records import BoardConfig, Image

BOARD = BoardConfig(id="m4", firmware="mps2-an386", chip="cortex-m4", source="boards.toml")
IMAGE = Image("mps2-an386", Path("x/hilbench.elf"), "12" * 20, "", "", "", ())


def hello(**changes):
    values = {
        "protocol_version": 1,
        "clock_source": 2,
        "port_untested": 0,
        "counter_bits": 32,
        "counter_hz": 25_000_000,
        "counter_overhead_ticks": 3,
        "packet_bytes": 1024,
        "window_bytes": 8192,
        "pool_bytes": 65536,
        "pool_address": 0x20000000,
        "ticks_capacity": 10,
        "profile_capacity": 10,
        "stack_bytes": 4096,
        "model_loaded": 0,
        "model_sha256": bytes(32),
        "build_id": bytes.fromhex("12" * 20),
        "port": "mps2-an386",
        "chip": "cortex-m4",
        "unique_id": "",
        "runtime": "plan 1",
        "kernels": "portable",
    }
    return HelloReply(**{**values, **changes})


def test_the_right_board_passes():
    check_identity(BOARD, IMAGE, hello())


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        (
            {"port": "mps2-an385"},
            BoardError,
            "board m4: the firmware says it is 'mps2-an385', boards.toml says firmware = "
            "'mps2-an386'; correct the table or flash the right image",
        ),
        (
            {"chip": "cortex-m3"},
            BoardError,
            "board m4: the firmware says its chip is 'cortex-m3', boards.toml says chip = "
            "'cortex-m4'; is this the right board?",
        ),
        (
            {"build_id": bytes.fromhex("34" * 20)},
            ImageError,
            "board m4: answers with image 343434343434, but 121212121212 (hilbench.elf of "
            "mps2-an386) was to be measured; flash it again",
        ),
    ],
)
def test_somebody_else_is_refused(changes, error, sentence):
    with pytest.raises(error, match=re.escape(sentence)):
        check_identity(BOARD, IMAGE, hello(**changes))


def test_a_missing_clock_is_not_a_number():
    sentence = (
        "port mps2-an386: counter rate is 0 Hz, so ticks cannot become a time; "
        "set counter_hz in the port"
    )
    with pytest.raises(BoardError, match=re.escape(sentence)):
        clock_info(hello(counter_hz=0), None, "/dev/ttyACM0")


def test_a_real_board_counts_time():
    clock = clock_info(hello(), None, "/dev/ttyACM0")
    assert (clock.time_base, clock.unit, clock.per_tick) == ("time", "us", pytest.approx(0.04))
    assert clock.source == "declared"


def test_a_program_behind_a_pty_is_no_hardware(tmp_path):
    master, slave = pty.openpty()
    try:
        address = os.ttyname(slave)
        (link := tmp_path / "ttyBOARD").symlink_to(address)
        for path in (address, str(link)):
            assert is_pty(path)
            clock = clock_info(hello(), None, path)
            assert (clock.time_base, clock.unit, clock.per_tick) == ("unknown", "ticks", 1.0)
    finally:
        os.close(master)
        os.close(slave)
    assert not is_pty("/dev/ttyACM0")
    assert not is_pty("socket://localhost:4000")


def test_a_cut_takes_meter_and_switch_and_leaves_the_link():
    done = []
    switch = SimpleNamespace(set_power=lambda *, on, timeout_s: done.append(("switch", on)))
    metering = SimpleNamespace(close=lambda: done.append("meter"))
    config = BoardConfig("desk", firmware="posix")
    access = SimpleNamespace(switch=switch, interrupt=lambda: done.append("link hears"))
    board = OpenBoard(config, None, None, None, None, access, False, metering=metering)
    board.cut()
    assert done == ["link hears", "meter", ("switch", False)]
    done.clear()
    access.switch = None
    replace(board, metering=None).cut()
    assert done == ["link hears"]
