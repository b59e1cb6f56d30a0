"""No emulator outlives its host, whatever kills the host."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from hilbench.drivers.emulators._process import EmulatorProcess
from tests.drivers.emulators.emulated_line import image_or_skip

DEADLINE_S = 20.0
HOST = """
import sys, threading
from hilbench.board.images import find_image
from hilbench.drivers.emulators import native, qemu
from hilbench.records import BoardConfig
port = sys.argv[1]
driver = native if port == "posix" else qemu
board = driver.start(BoardConfig(id="b", firmware=port), 20.0)
board.flash(find_image(port))
print(board._process.pid, flush=True)
threading.Event().wait()
"""


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def wait_until(true) -> None:
    end = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < end, f"not within {DEADLINE_S} s"
        time.sleep(0.01)


@pytest.mark.parametrize("port", [pytest.param("mps2-an385", marks=pytest.mark.qemu), "posix"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_killing_the_host_ends_the_emulator(port, how):
    image_or_skip(port)
    with subprocess.Popen([sys.executable, "-c", HOST, port], stdout=subprocess.PIPE) as host:
        assert host.stdout is not None
        pid = int(host.stdout.readline())
        assert not gone(pid)
        host.send_signal(how)
    wait_until(lambda: gone(pid))


def test_the_end_of_the_thread_that_started_it_does_not_end_it():
    started: list[EmulatorProcess] = []
    thread = threading.Thread(
        target=lambda: started.append(EmulatorProcess("b", ["/bin/cat", "/dev/zero"], []))
    )
    before = len(psutil.Process().threads())
    thread.start()
    thread.join()
    # join() returns a little before the kernel's thread ends, which is what sends the signal.
    wait_until(lambda: thread.native_id not in {t.id for t in psutil.Process().threads()})
    assert len(psutil.Process().threads()) <= before + 1  # the spawner stays
    started[0].check_alive()
    started[0].stop()


def test_the_reason_is_found_among_the_last_words():
    script = "echo 'sh: warning: none'; echo 'sh: the reason'; echo registers; exit 3"
    process = EmulatorProcess("b", ["sh", "-c", script], [])
    process._process.wait(DEADLINE_S)
    assert process.last_words() == "sh: the reason"
    process.stop()
