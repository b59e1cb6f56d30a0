"""Instructions by class and marker edges of QEMU's Cortex-M boards, counted by a plugin of QEMU.

The plugin is a GPL source of its own (qemu_plugin/README.md), compiled when first asked for; QEMU
loads it, hilbench does not.
"""

from __future__ import annotations

import os
import re
import subprocess
from functools import cache
from pathlib import Path

from hilbench.drivers.emulators._compile import compiled
from hilbench.drivers.emulators._edges import (
    CounterRegister,
    EdgeReader,
    MarkerEdge,
    MarkerRegister,
    device_time,
)
from hilbench.errors import BoardError, ConfigError
from hilbench.records import Edge

SOURCES = Path(__file__).parent / "qemu_plugin"
LIBRARY = "hilbench-tcg.so"
_INSTALL = "apt-get install gcc libc6-dev"
_COMMAND = (
    *("gcc", "-std=c99", "-O2", "-Wall", "-Wextra", "-fPIC", "-fvisibility=hidden", "-shared"),
    *("hilbench_tcg.c", "thumb.c"),
)
_VERSION_TIMEOUT_S = 30.0
_OTHER_API_FROM = 9  # QEMU 9.0 refuses plugins of API 1


def _timer(hz: int) -> CounterRegister:
    return CounterRegister("cmsdk_apb_timer_read", 4, hz, up=False)


def _led(fpgaio: int, counter: CounterRegister) -> MarkerRegister:
    return MarkerRegister((fpgaio,), "mps2_fpgaio_write", (0, 1), (0, 1), counter)


# By QEMU's machine. Its netduinoplus2 has no GPIO and so no marker.
_MARKERS = {
    "mps2-an385": _led(0x4002_8000, _timer(25_000_000)),
    "mps2-an386": _led(0x4002_8000, _timer(25_000_000)),
    "mps2-an500": _led(0x4002_8000, _timer(25_000_000)),
    "mps2-an505": _led(0x5030_2000, _timer(20_000_000)),
    "mps3-an547": _led(
        0x5930_2000, CounterRegister("sse_counter_control_read", 8, 32_000_000, up=True)
    ),
    # P0.03 by OUTSET and OUTCLR
    "microbit": MarkerRegister(
        (0x5000_0508, 0x5000_050C),
        "nrf51_gpio_write",
        rises=(0x508, 8),
        falls=(0x50C, 8),
        counter=CounterRegister("nrf51_timer_read", 0x540, 16_000_000, up=True),
    ),
}
# The cores whose cost table is in qemu_plugin/thumb.c.
_MODELS = {"mps2-an385": "cortex-m3", "mps2-an386": "cortex-m4", "microbit": "cortex-m0"}


def sees_marker(machine: str) -> bool:
    """Return whether the plugin knows where a machine's marker pin is."""
    return machine in _MARKERS


class TcgPlugin:
    """The plugin of one QEMU process, and the log that it writes into."""

    def __init__(self, board_id: str, machine: str, program: str) -> None:
        if (register := _MARKERS.get(machine)) is None:
            raise ConfigError(
                f'board {board_id}: plugin = "classes" does not know the marker of machine '
                f"{machine!r}; known: {', '.join(_MARKERS)}"
            )
        if int((version := _version(program)).split(".")[0]) >= _OTHER_API_FROM:
            raise ConfigError(
                f'board {board_id}: plugin = "classes" is for QEMU before {_OTHER_API_FROM}.0 and this '
                f"is {version}; remove it from emulator_args"
            )
        library = compiled(
            LIBRARY,
            _COMMAND,
            SOURCES,
            install=_INSTALL,
            why='plugin = "classes" needs it',
            version=version,
        )
        self._register = register
        self._reader = EdgeReader(board_id, register)
        self._read_bytes = 0
        self._last = b""
        self._log = os.memfd_create("hilbench-tcg")
        options = [f"marker={address:#x}" for address in register.addresses]
        if machine in _MODELS:
            options.append(f"core={_MODELS[machine]}")
        name = str(library).replace(",", ",,")  # as QEMU's options are quoted
        self.fds = (self._log,)
        self.arguments = (
            *("-plugin", ",".join((name, *options))),
            *("-d", f"plugin,trace:{register.trace_event},trace:{register.counter.trace_event}"),
            *("-D", f"/proc/self/fd/{self._log}"),
        )

    def device_edges(self, instruction_s: float) -> tuple[Edge, ...]:
        """Return the edges so far in device time, oldest first."""
        counter_hz = self._register.counter.hz
        return tuple(device_time(self.instruction_edges(), instruction_s, counter_hz))

    def instruction_edges(self) -> list[MarkerEdge]:
        """Return the edges so far, oldest first."""
        data = self._unread()
        whole = data[: data.rfind(b"\n") + 1]  # QEMU may be about to write the rest
        self._reader.read(whole.decode().splitlines())
        self._read_bytes += len(whole)
        self._last = self._last[len(whole) :]
        return list(self._reader.edges)

    def close(self) -> None:
        """Keep what was written until now; may be called twice."""
        if self._log >= 0:
            self._last = self._unread()
            os.close(self._log)
            self._log = -1

    def _unread(self) -> bytes:
        if self._log < 0:
            return self._last
        size = os.fstat(self._log).st_size
        return os.pread(self._log, size - self._read_bytes, self._read_bytes)


@cache
def _version(program: str) -> str:
    said = subprocess.run(
        [program, "--version"], capture_output=True, check=False, timeout=_VERSION_TIMEOUT_S
    ).stdout.decode(errors="replace")
    if (found := re.search(r"version (\d\S*)", said)) is None:
        raise BoardError(
            f"{program} --version says {said[:80]!r} and no version; is it QEMU from your system?"
        )
    return found[1]
