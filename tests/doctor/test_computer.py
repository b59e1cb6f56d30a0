"""Checks of the computer against computers made of files."""

from __future__ import annotations

import os

import pytest

from hilbench.doctor.computer import check_modem_manager, check_port, check_probes


@pytest.fixture
def computer(tmp_path):
    """A root folder with one USB serial port, /dev/ttyUSB0, in a hub."""
    usb = tmp_path / "sys/devices/pci0/usb1/1-1/1-1.2"
    port = usb / "1-1.2:1.0/ttyUSB0"
    for folder in (usb / "power", port, tmp_path / "sys/class/tty/ttyUSB0", tmp_path / "proc"):
        folder.mkdir(parents=True, exist_ok=True)
    (tmp_path / "sys/class/tty/ttyUSB0/device").symlink_to(port)
    (tmp_path / "dev/serial/by-id").mkdir(parents=True)
    (tmp_path / "dev/ttyUSB0").touch()
    (tmp_path / "dev/serial/by-id/usb-FTDI").symlink_to("../../ttyUSB0")
    write(usb, idVendor="0403", idProduct="6001")
    write(usb.parent, idVendor="0424", idProduct="2514")  # the hub: must not be taken for it
    return tmp_path


def write(folder, **files):
    for name, text in files.items():
        (folder / name).write_text(f"{text}\n")


def usb_of(root):
    return root / "sys/devices/pci0/usb1/1-1/1-1.2"


def process(root, pid, comm, *targets):
    (root / f"proc/{pid}/fd").mkdir(parents=True)
    write(root / f"proc/{pid}", comm=comm)
    for number, target in enumerate(targets):
        (root / f"proc/{pid}/fd/{number}").symlink_to(target)


def checks(root, port="/dev/ttyUSB0", hello_s=5.0, may=lambda _p: True):
    return {c.name: c for c in check_port(port, hello_s, root, may)}


def test_a_good_port(computer):
    write(usb_of(computer) / "power", control="on")
    write(usb_of(computer) / "1-1.2:1.0/ttyUSB0", latency_timer="1")
    found = checks(computer, "/dev/serial/by-id/usb-FTDI")
    assert {name: c.state for name, c in found.items()} == {
        "permission": "ok",
        "held": "ok",
        "latency timer": "ok",
        "autosuspend": "ok",
        "reset on open": "ok",
    }
    assert found["permission"].fact == "/dev/ttyUSB0 may be opened"
    assert found["reset on open"].fact == (
        "/dev/ttyUSB0 is a FTDI: on most boards opening the port resets the chip; "
        "HELLO is waited for up to 5 s"
    )


def test_a_port_that_is_not_there(computer):
    (check,) = check_port("/dev/ttyUSB9", 5.0, computer)
    assert (check.state, check.fact) == ("failed", "no /dev/ttyUSB9")


def test_permission(computer):
    check = checks(computer, may=lambda _p: False)["permission"]
    group = (computer / "dev/ttyUSB0").group()
    assert (check.state, check.fact, check.next_step) == (
        "failed",
        f"/dev/ttyUSB0 belongs to group {group}, and this user may not open it",
        f"sudo usermod -aG {group} $USER, then log in again",
    )


def test_who_holds_it(computer):
    process(computer, 77, "bash", "/dev/null", "socket:[12]")
    assert checks(computer)["held"].state == "ok"
    process(computer, os.getpid(), "pytest", "/dev/ttyUSB0")  # ourselves
    assert checks(computer)["held"].state == "ok"
    process(computer, 99, "minicom", "/dev/tty", "/dev/ttyUSB0")
    check = checks(computer, "/dev/serial/by-id/usb-FTDI")["held"]
    assert (check.state, check.fact, check.next_step) == (
        "failed",
        "/dev/ttyUSB0 is open in minicom (pid 99)",
        "close it: kill 99",
    )
    process(computer, 100, "cat", "/dev/ttyUSB0")
    check = checks(computer)["held"]
    assert check.fact == "/dev/ttyUSB0 is open in minicom (pid 99), cat (pid 100)"
    assert check.next_step == "close it: kill 99 100"


def test_an_emulator_that_holds_both_ends_of_its_pty_is_nobody_else(computer):
    (computer / "dev/pts").mkdir()
    (computer / "dev/pts/987654").touch()
    process(computer, 99, "qemu", "/dev/ptmx", "/dev/pts/987654")
    (computer / "proc/99/fdinfo").mkdir()
    (computer / "proc/99/fdinfo/0").write_text("pos:\t0\ntty-index:\t987654\n")
    assert checks(computer, "/dev/pts/987654")["held"].state == "ok"
    (computer / "proc/99/fdinfo/0").write_text("pos:\t0\ntty-index:\t987655\n")
    check = checks(computer, "/dev/pts/987654")["held"]
    assert check.fact == "/dev/pts/987654 is open in qemu (pid 99)"


def test_latency_timer_and_autosuspend(computer):
    timer = usb_of(computer) / "1-1.2:1.0/ttyUSB0/latency_timer"
    assert "latency timer" not in checks(computer)  # not every chip has one
    write(timer.parent, latency_timer="16")
    write(usb_of(computer) / "power", control="auto", autosuspend_delay_ms="2000")
    found = checks(computer)
    assert (found["latency timer"].state, found["latency timer"].fact) == (
        "warn",
        "16 ms: the FTDI chip holds every short reply back that long",
    )
    assert found["latency timer"].next_step.startswith("echo 1 | sudo tee ")
    assert found["latency timer"].next_step.endswith("ttyUSB0/device/latency_timer")
    assert (found["autosuspend"].state, found["autosuspend"].fact) == (
        "warn",
        "the kernel may suspend the device after 2000 ms of silence",
    )


def test_a_bootloader_takes_longer_than_hello_waits(computer):
    check = checks(computer, hello_s=1.0)["reset on open"]
    assert (check.state, check.next_step) == ("warn", "set timeouts.hello_s to 3 or more")
    write(usb_of(computer), idVendor="0483")
    assert "reset on open" not in checks(computer)


def test_a_port_that_is_not_usb(computer):
    (computer / "dev/ttyS0").touch()
    check = checks(computer, "/dev/ttyS0")["usb"]
    assert (check.state, check.fact) == ("skipped", "/dev/ttyS0 is not a USB device")


def test_modem_manager(computer):
    process(computer, 5, "NetworkManager")
    assert check_modem_manager(computer).state == "ok"
    process(computer, 6, "ModemManager")
    check = check_modem_manager(computer)
    assert (check.state, check.fact) == (
        "warn",
        "running (pid 6): it writes AT commands to new serial ports",
    )
    assert "ID_MM_DEVICE_IGNORE" in check.next_step


def test_probes(computer):
    devices = computer / "sys/bus/usb/devices"
    for name, vendor, product in (
        ("1-3", "0483", "374b"),
        ("1-4", "1366", "1051"),
        ("1-5", "1", "2"),
    ):
        (devices / name).mkdir(parents=True)
        number = name[-1]
        write(devices / name, idVendor=vendor, idProduct=product, busnum="1", devnum=number)
    write(devices / "1-3", serial="0669FF")
    allowed = computer / "dev/bus/usb/001/004"
    st_link, j_link = check_probes(computer, lambda path: path == allowed)
    assert (j_link.state, j_link.fact) == ("ok", "J-Link 1366:1051 serial none: may be opened")
    assert (st_link.name, st_link.state, st_link.fact) == (
        "probe 1-3",
        "failed",
        "ST-Link V2-1 0483:374b serial 0669FF: this user may not open it",
    )
    assert 'ATTR{idVendor}=="0483"' in st_link.next_step
