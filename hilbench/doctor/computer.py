"""What on this computer can spoil a board: permissions, other programs, USB settings.

Everything is read below a root folder, so that tests can bring a computer of their own.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from hilbench.doctor.check import Check
from hilbench.drivers._holders import holders

ROOT = Path("/")
LATENCY_LIMIT_MS = 1
_SLOW_BOOT_S = 3.0  # an Arduino's bootloader waits 1 to 2 s before it starts the firmware
_PROBES = {  # vendor, product ("" is any) to what it is
    ("0d28", "0204"): "DAPLink",
    ("0483", "3748"): "ST-Link V2",
    ("0483", "374b"): "ST-Link V2-1",
    ("0483", "374e"): "ST-Link V3",
    ("1366", ""): "J-Link",
    ("2e8a", "000c"): "Debug Probe (Pico)",
    ("2e8a", "0003"): "RP2040 in BOOTSEL",
    ("1a86", "8012"): "WCH-Link",
}
_RESETS = {  # bridges that boards wire to the chip's reset
    "2341": "Arduino",
    "2a03": "Arduino",
    "1a86": "CH340",
    "0403": "FTDI",
    "10c4": "CP210x",
}


def may_open(path: Path) -> bool:
    """Say whether this user may read and write a device node."""
    return os.access(path, os.R_OK | os.W_OK)


def check_modem_manager(root: Path = ROOT) -> Check:
    """Look for ModemManager, which talks to every new ttyACM and ttyUSB as if it were a modem."""
    for process in _processes(root):
        with contextlib.suppress(OSError):
            if (process / "comm").read_text().strip() == "ModemManager":
                return Check(
                    "ModemManager",
                    "warn",
                    f"running (pid {process.name}): it writes AT commands to new serial ports",
                    "stop it: sudo systemctl disable --now ModemManager; or tell udev about the "
                    'board: ENV{ID_MM_DEVICE_IGNORE}="1"',
                )
    return Check("ModemManager", "ok", "not running")


def check_probes(root: Path = ROOT, may: Callable[[Path], bool] = may_open) -> list[Check]:
    """Return a check for each debug probe that is plugged in: may this user open it?"""
    checks = []
    for device in sorted((root / "sys/bus/usb/devices").glob("*")):
        vendor, product = _read(device / "idVendor"), _read(device / "idProduct")
        name = _PROBES.get((vendor, product)) or _PROBES.get((vendor, ""))
        if name is None or not _read(device / "busnum"):
            continue
        bus, number = int(_read(device / "busnum")), int(_read(device / "devnum"))
        node = root / f"dev/bus/usb/{bus:03d}/{number:03d}"
        what = f"{name} {vendor}:{product} serial {_read(device / 'serial') or 'none'}"
        if may(node):
            checks.append(Check(f"probe {device.name}", "ok", f"{what}: may be opened"))
        else:
            rule = f'SUBSYSTEM=="usb", ATTR{{idVendor}}=="{vendor}", TAG+="uaccess", MODE="0660"'
            checks.append(
                Check(
                    f"probe {device.name}",
                    "failed",
                    f"{what}: this user may not open it",
                    f"add to /etc/udev/rules.d/60-hilbench.rules: {rule}; then replug it",
                )
            )
    return checks


def check_port(
    port: str, hello_s: float, root: Path = ROOT, may: Callable[[Path], bool] = may_open
) -> list[Check]:
    """Return the checks of one serial port, by its path; none of them opens it.

    Args:
        port: e.g. ``/dev/ttyACM0`` or a link to it.
        hello_s: the board's deadline for HELLO.
        root: where dev, proc and sys are.
        may: whether this user may open a node.
    """
    node = root / port.lstrip("/")
    if not node.exists():
        return [
            Check("port", "failed", f"no {port}", "plug the board in; `hilbench boards scan` lists")
        ]
    device = "/" + str(node.resolve().relative_to(root.resolve()))
    checks = [_access(device, node, may), _held(device, root)]
    usb = _usb_device(device, root)
    if usb is None:
        return [*checks, Check("usb", "skipped", f"{device} is not a USB device")]
    more = (_latency(device, root), _autosuspend(usb), _reset_on_open(device, usb, hello_s))
    return checks + [check for check in more if check is not None]


def _access(device: str, node: Path, may: Callable[[Path], bool]) -> Check:
    if may(node):
        return Check("permission", "ok", f"{device} may be opened")
    try:
        group = node.group()
    except KeyError:
        group = str(node.stat().st_gid)
    return Check(
        "permission",
        "failed",
        f"{device} belongs to group {group}, and this user may not open it",
        f"sudo usermod -aG {group} $USER, then log in again",
    )


def _held(device: str, root: Path) -> Check:
    found = holders(device, root / "proc")
    if not found:
        return Check("held", "ok", f"nobody seen to have {device} open")
    who = ", ".join(f"{name} (pid {pid})" for pid, name in found)
    pids = " ".join(str(pid) for pid, _ in found)
    return Check("held", "failed", f"{device} is open in {who}", f"close it: kill {pids}")


def _latency(device: str, root: Path) -> Check | None:
    timer = root / "sys/class/tty" / Path(device).name / "device/latency_timer"
    if not (text := _read(timer)):
        return None  # not an FTDI chip
    if int(text) <= LATENCY_LIMIT_MS:
        return Check("latency timer", "ok", f"{text} ms")
    return Check(
        "latency timer",
        "warn",
        f"{text} ms: the FTDI chip holds every short reply back that long",
        f"echo 1 | sudo tee {timer}",
    )


def _autosuspend(usb: Path) -> Check | None:
    control = _read(usb / "power/control")
    if not control:
        return None
    if control != "auto":
        return Check("autosuspend", "ok", "off for this device")
    delay = _read(usb / "power/autosuspend_delay_ms") or "an unknown number of"
    return Check(
        "autosuspend",
        "warn",
        f"the kernel may suspend the device after {delay} ms of silence",
        f"echo on | sudo tee {usb / 'power/control'}",
    )


def _reset_on_open(device: str, usb: Path, hello_s: float) -> Check | None:
    name = _RESETS.get(_read(usb / "idVendor"))
    if name is None:
        return None
    fact = f"{device} is a {name}: on most boards opening the port resets the chip"
    if hello_s >= _SLOW_BOOT_S:
        return Check("reset on open", "ok", f"{fact}; HELLO is waited for up to {hello_s:g} s")
    return Check(
        "reset on open",
        "warn",
        f"{fact}, and HELLO is waited for only {hello_s:g} s",
        f"set timeouts.hello_s to {_SLOW_BOOT_S:g} or more",
    )


def _usb_device(device: str, root: Path) -> Path | None:
    """Return the sysfs folder of the USB device that a tty belongs to."""
    link = root / "sys/class/tty" / Path(device).name / "device"
    if not link.exists():
        return None
    found = link.resolve()
    return next((p for p in (found, *found.parents) if (p / "idVendor").exists()), None)


def _processes(root: Path) -> Iterator[Path]:
    yield from (p for p in (root / "proc").glob("[0-9]*") if p.name.isdigit())


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
