"""What brings a board back, in which order, and what is said of it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from dataclasses import replace
from types import SimpleNamespace

import psutil
import pytest

from hilbench import plugins
from hilbench.board import access as access_module
from hilbench.board.images import find_image
from hilbench.board.ladder import Rung, climb
from hilbench.board.life import open_board
from hilbench.board.wear import read_wear
from hilbench.errors import (
    BoardBusyError,
    BoardError,
    BoardSilentError,
    FlashBusyError,
    FlashNotFoundError,
    FlashTimeoutError,
    FlashVerifyError,
    FlashWriteError,
    ImageError,
    LinkError,
)
from hilbench.protocol.messages import Region
from hilbench.records import (
    BoardConfig,
    FlasherConfig,
    PowerSwitchConfig,
    SerialMatch,
    Timeouts,
)

SHORT = Timeouts(start_s=2.0, hello_s=0.6, reply_s=0.4, run_s=2.0, flash_s=5.0)
FIRST = BoardError("board b: no HELLO within 0.6 s; heard 0 bytes; reset the board")


# -- climbing ---------------------------------------------------------------------------------------


class Client:
    def hello(self):
        return "hello"


def fails(name, error):
    def act():
        raise error

    return Rung(name, act)


def test_the_story_says_what_worked_what_did_not_and_how_it_began():
    recovery = climb(
        "b",
        [
            fails("line reset", BoardError("port p has no control lines; press the button")),
            fails("power cycle", FlashWriteError("board b: half; flash again")),
            Rung("reflash", Client),
            fails("never", AssertionError()),
        ],
        FIRST,
    )
    assert recovery.hello == "hello"
    assert recovery.story == (
        "reflash worked, line reset (port p has no control lines), power cycle (half) did not; "
        "began with: no HELLO within 0.6 s"
    )


def test_when_nothing_helps_each_rung_is_named():
    with pytest.raises(BoardError) as caught:
        climb("b", [fails("line reset", LinkError("port p went away; plug it in"))], FIRST)
    assert str(caught.value) == f"{FIRST}; tried in vain: line reset (port p went away)"
    with pytest.raises(BoardError, match=r"; nothing else can be tried$"):
        climb("b", [], FIRST)


def test_silence_is_told_from_a_port_that_is_not_there():
    gone, silent = LinkError("port p went away; plug it in"), BoardSilentError("no HELLO; reset")
    for first, ladder in ((silent, [fails("a", gone)]), (gone, [fails("a", silent)])):
        with pytest.raises(BoardSilentError):
            climb("b", ladder, first)
    with pytest.raises(BoardError) as caught:
        climb("b", [fails("a", gone)], gone)
    assert not isinstance(caught.value, BoardSilentError)


def test_a_port_in_other_hands_is_not_forced():
    with pytest.raises(BoardBusyError):
        climb("b", [fails("a", BoardBusyError("held")), Rung("reflash", Client)], FIRST)


def test_a_bug_is_not_a_fault_of_the_board():
    with pytest.raises(ZeroDivisionError):
        climb("b", [fails("a", ZeroDivisionError()), Rung("reflash", Client)], FIRST)


# -- the firmware behind a PTY ----------------------------------------------------------------------


@pytest.fixture
def image():
    try:
        return find_image("posix")
    except ImageError as error:
        pytest.skip(str(error))


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def native(tmp_path):
    return BoardConfig(
        id="b",
        firmware="posix",
        emulator="native",
        flasher=FlasherConfig("emulator"),
        timeouts=SHORT,
        source=str(tmp_path / "boards.toml"),
    )


def firmware_pids(board_id="b"):
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if process.environ().get("HILBENCH_BOARD") == board_id:
                found.append(process.pid)
    return found


def hang():
    deadline_s = time.monotonic() + 10
    while not (pids := firmware_pids()):  # a process that is becoming another has no environment
        assert time.monotonic() < deadline_s, "no firmware runs"
    (pid,) = pids
    os.kill(pid, signal.SIGSTOP)


@contextlib.contextmanager
def opened(config, image):
    states = []
    with open_board(config, image, states.append, lambda _e: None) as board:
        board.states = states
        yield board


@pytest.mark.firmware
def test_an_emulated_board_that_hangs_comes_back_by_its_reset(native, image):
    with opened(native, image) as board:
        board.start_session()
        hang()
        assert board.start_session().port == "posix"
        assert board.recoveries == []  # a plain reset was enough


@pytest.mark.firmware
def test_an_emulator_that_died_is_started_again_and_the_row_says_so(native, image):
    with opened(native, image) as board:
        board.start_session()
        (pid,) = firmware_pids()
        os.kill(pid, signal.SIGKILL)
        while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            pass
        dead = board.emulated
        assert board.start_session().port == "posix"
        board.start_session()
        assert board.emulated is not dead
        board.emulated.check_alive()
        (story,) = board.recoveries
        assert story.startswith("restart worked; began with: the emulator ")
        assert "has died (killed by SIGKILL)" in story


class Desk:
    """A real board, its flasher and its power switch, as plugins would supply them."""

    def __init__(self, monkeypatch, native, image):
        self.calls = []
        self.box = plugins.load("emulators", "native").start(native, 5.0)
        self.box.flash(image)
        self.ports = [self.box.link_address]  # what is plugged in, by identity
        self.flash_revives = self.power_revives = False
        self.flash_errors = []  # of the next calls
        self.off_fails = False
        real = plugins.load
        drivers = {
            ("switches", "uhubctl"): SimpleNamespace(open_switch=lambda _b: self),
            ("flashers", "command"): SimpleNamespace(flash=self.flash),
        }

        def load(kind, name):
            if (kind, name) == ("links", "serial"):
                serial = real(kind, name)
                return SimpleNamespace(
                    open_link=serial.open_link, resolve=self.resolve, identity=serial.identity
                )
            return drivers.get((kind, name)) or real(kind, name)

        monkeypatch.setattr(access_module.plugins, "load", load)
        monkeypatch.setattr(access_module, "_OFF_S", 0.0)

    def resolve(self, _match, board_id):
        if not self.ports:
            raise BoardError(f"board {board_id}: not plugged in: no port; plug it in")
        return self.ports[0]

    def flash(self, board, image, emulated, timeout_s):
        self.calls.append(f"flash {type(board.serial).__name__}")
        if self.flash_errors:
            raise self.flash_errors.pop(0)
        if self.flash_revives:
            self.box.reset()

    def set_power(self, *, on, timeout_s):
        self.calls.append(f"power {'on' if on else 'off'}")
        if self.off_fails and not on:
            raise BoardError("board b: the switch is stuck; hit it")

    def cycle(self, off_s, timeout_s):
        self.calls.append("cycle")
        if self.power_revives:
            self.box.reset()


@pytest.fixture
def desk(monkeypatch, native, image):
    desk = Desk(monkeypatch, native, image)
    yield desk
    desk.box.stop()


@pytest.fixture
def real(native):
    return replace(native, emulator=None, flasher=None, serial=SerialMatch(vid="2341", pid="0043"))


@pytest.mark.firmware
def test_a_board_that_was_not_flashed_is_reset_before_its_first_session(desk, real, image):
    with opened(real, image) as board:
        left = b"what the last owner left"
        board.client.write(Region.POOL, 0, left)
        assert board.client.read(Region.POOL, 0, len(left)) == left
        board.start_session()
        assert board.client.read(Region.POOL, 0, len(left)) == bytes(len(left))
        assert board.recoveries == []


@pytest.mark.firmware
def test_a_board_that_was_flashed_is_not_reset_again_and_is_counted(desk, real, image):
    config = replace(real, flasher=FlasherConfig("command"))
    with opened(config, image) as board:
        talk = board.client._conversation
        board.start_session()
        assert board.client._conversation is talk
    assert desk.calls == ["flash str"]  # the port was resolved for the flasher
    assert read_wear(config).flashes == 1


@pytest.mark.firmware
def test_power_brings_a_hung_board_back(desk, real, image):
    desk.power_revives = True
    config = replace(real, power=PowerSwitchConfig("uhubctl"), flasher=FlasherConfig("command"))
    with opened(config, image) as board:
        board.start_session()
        before = board.client
        hang()
        board.start_session()
        assert board.client is not before
        board.client.echo(b"again")
    (story,) = board.recoveries
    assert re.fullmatch(
        r"power cycle worked, line reset \(port /dev/pts/\d+ has no control lines \(.*\)\) did not; "
        r"began with: no reply to RESET within 0\.4 s",
        story,
    )
    assert desk.calls == ["power on", "flash str", "cycle", "power off"]


@pytest.mark.firmware
def test_the_last_rung_is_the_flasher(desk, real, image):
    desk.flash_revives = True
    config = replace(real, power=PowerSwitchConfig("uhubctl"), flasher=FlasherConfig("command"))
    with opened(config, image) as board:
        board.start_session()
        hang()
        board.start_session()
    assert board.recoveries[0].startswith("reflash worked, line reset (")
    assert "power cycle (no HELLO within 0.6 s) did not" in board.recoveries[0]
    assert desk.calls == ["power on", "flash str", "cycle", "flash str", "power off"]
    assert read_wear(config).flashes == 2


@pytest.mark.firmware
def test_a_board_that_is_gone_for_good(desk, real, image):
    config = replace(real, power=PowerSwitchConfig("uhubctl"))
    with opened(config, image) as board:
        hang()
        with pytest.raises(BoardError) as caught:
            board.start_session()
    sentence = str(caught.value)
    assert sentence.startswith("board b: no reply to RESET within 0.4 s; ")
    assert "; tried in vain: line reset (port " in sentence
    assert sentence.endswith("power cycle (no HELLO within 0.6 s)")
    assert "\n" not in sentence
    assert desk.calls[-1] == "power off"


@pytest.mark.firmware
def test_a_board_under_another_name_is_found_again(desk, real, image, tmp_path):
    """As with a USB port of its own: it goes away with the reset and comes back elsewhere."""
    alias = tmp_path / "ttyACM1"
    with opened(real, image) as board:
        board.start_session()
        alias.symlink_to(desk.ports[0])
        desk.ports = [str(alias)]
        board.access._link.close()
        board.start_session()
        assert board.access.address() == str(alias)
        assert board.recoveries == []


@pytest.mark.firmware
def test_a_board_that_is_hung_from_the_start(desk, real, image):
    desk.power_revives = True
    hang()
    with opened(replace(real, power=PowerSwitchConfig("uhubctl")), image) as board:
        assert board.recoveries[0].startswith("power cycle worked, line reset (")
        assert "bringing back" in board.states


LOST = "board b: no probe answers; plug it in"
FLASHED = {"power": PowerSwitchConfig("uhubctl"), "flasher": FlasherConfig("command")}


@pytest.mark.firmware
@pytest.mark.parametrize("error", [FlashNotFoundError, FlashTimeoutError])
def test_a_flash_that_finds_nobody_is_tried_again_after_a_power_cycle(desk, real, image, error):
    desk.flash_errors = [error(LOST)]
    with opened(replace(real, **FLASHED), image) as board:
        assert board.recoveries == ["power cycle and flash worked; began with: no probe answers"]
        assert board.states == [
            "waiting", "power on", "flashing", "bringing back", "hello",
        ]  # fmt: skip
    assert desk.calls == ["power on", "flash str", "cycle", "flash str", "power off"]


@pytest.mark.firmware
def test_it_is_tried_again_once_and_both_faults_are_told(desk, real, image):
    first = FlashTimeoutError(
        LOST, command=("avrdude",), exit_code_of_tool=1, duration_s=2.0, last_line="no sync"
    )
    first.add_note("avrdude -p m328p\nno sync")
    desk.flash_errors = [first, FlashVerifyError("board b: byte 7 differs; flash again")]
    with (
        pytest.raises(FlashTimeoutError) as caught,
        opened(replace(real, **FLASHED), image),
    ):
        pass
    assert str(caught.value) == (f"{LOST}; tried in vain: power cycle and flash (byte 7 differs)")
    assert vars(caught.value) == vars(first)  # command, exit code ... and what the tool printed
    assert desk.calls == ["power on", "flash str", "cycle", "flash str", "power off"]


@pytest.mark.firmware
@pytest.mark.parametrize("error", [FlashBusyError, FlashWriteError, FlashVerifyError])
def test_a_flash_that_power_would_not_mend_is_not_tried_again(desk, real, image, error):
    desk.flash_errors = [error(LOST)]
    with pytest.raises(error), opened(replace(real, **FLASHED), image):
        pass
    assert desk.calls == ["power on", "flash str", "power off"]


@pytest.mark.firmware
def test_without_a_switch_a_flash_that_finds_nobody_is_the_error(desk, real, image):
    desk.flash_errors = [FlashNotFoundError(LOST)]
    config = replace(real, flasher=FlasherConfig("command"))
    with pytest.raises(FlashNotFoundError, match=f"^{LOST}$"), opened(config, image):
        pass
    assert desk.calls == ["flash str"]


@pytest.mark.firmware
def test_a_probe_in_other_hands_after_the_power_cycle_is_not_forced(desk, real, image):
    desk.flash_errors = [FlashNotFoundError(LOST), FlashBusyError("board b: held; end it")]
    with (
        pytest.raises(FlashBusyError, match=r"^board b: held; end it$"),
        opened(replace(real, **FLASHED), image),
    ):
        pass


@pytest.mark.firmware
def test_power_goes_off_whatever_happens(desk, real, image):
    config = replace(real, power=PowerSwitchConfig("uhubctl"))
    with pytest.raises(KeyboardInterrupt), opened(config, image):
        raise KeyboardInterrupt
    assert desk.calls == ["power on", "power off"]


@pytest.mark.firmware
def test_a_switch_that_stays_on_is_told_without_hiding_the_fault(desk, real, image):
    desk.off_fails = True
    config = replace(real, power=PowerSwitchConfig("uhubctl"))
    with pytest.raises(ZeroDivisionError) as caught, opened(config, image) as board:
        raise ZeroDivisionError
    assert caught.value.__notes__ == [
        "and it was not switched off: board b: the switch is stuck; hit it"
    ]
    assert board.states[-1] == "still powered: board b: the switch is stuck; hit it"
    with pytest.raises(BoardError, match="the switch is stuck"), opened(config, image):
        pass


def test_a_board_without_a_switch_or_a_place(native, real):
    nowhere = access_module.Access(replace(native, emulator=None, serial=None), None, print)
    with pytest.raises(BoardError, match=re.escape("b: has no power switch; add [board.b.power]")):
        nowhere.power_cycle()
    with pytest.raises(Exception, match="has neither emulator nor serial; say where the board is"):
        nowhere.connect()
