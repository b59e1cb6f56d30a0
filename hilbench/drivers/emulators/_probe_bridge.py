"""A debug probe that pyOCD believes in: its remote probe protocol in front of an emulated core.

One JSON object a line, over TCP on the loopback: ``{"id", "request", "arguments"}`` is answered with
``{"id", "status", "result" or "error"}``. Behind it stand an ADIv5 debug port and one memory access
port; pyOCD finds the core through them and runs its own flash algorithm on it.

Ref: pyOCD, "Remote probe protocol" (docs/remote_probe_protocol.md); Arm ADIv5.2 (IHI 0031).
"""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hilbench.drivers.emulators._deadline import Deadline
from hilbench.drivers.emulators._debug_core import CORTEX_M0_CPUID, ROM_TABLE, DebugCore
from hilbench.drivers.emulators._qmp import QmpClient
from hilbench.drivers.emulators._rsp import RspClient
from hilbench.errors import LinkError

_REQUEST_TIMEOUT_S = 10.0
_OK, _PROBE_ERROR, _TRANSFER_FAULT = 0, 3, 12  # status codes of the protocol
_ERASED = 0xFF
_CORTEX_M0_DPIDR = 0x0BB11477
_AHB_AP_IDR = 0x04770021
_DP_DPIDR, _DP_CTRL_STAT = 0x0, 0x4
_POWER_UP_REQUESTS = 0x50000000  # answered by the acknowledge bits one place to the left
_AP_CSW, _AP_BASE, _AP_IDR = 0x00, 0xF8, 0xFC
_CSW_ENABLED_32_BIT = 0x23000052
_PROPERTIES: dict[str, Any] = {
    "capabilities": ["MANAGED_AP_SELECTION", "MANAGED_DPBANKSEL"],
    "supported_wire_protocols": ["SWD", "DEFAULT"],
    "wire_protocol": "SWD",
    "vendor_name": "hilbench",
    "product_name": "probe of an emulated board",
}
_NOTHING_TO_DO = frozenset(
    {
        *(
            "hello",
            "open",
            "close",
            "lock",
            "unlock",
            "connect",
            "disconnect",
            "set_clock",
            "flush",
        ),
        *("swj_sequence", "swd_sequence"),
    }
)


@dataclass(frozen=True)
class ProbeFaults:
    """What goes wrong, for tests. A "run" is one start of the core by the debugger.

    A flash algorithm is called once per page, so that "after 3 runs" is in the midst of writing.
    """

    cpuid: int = CORTEX_M0_CPUID  # another value: another chip on the cable
    silent_after_runs: int | None = None  # the probe stops answering
    hangs_up_after_runs: int | None = None  # the probe's server ends
    no_power_after_runs: int | None = None  # the chip's supply fails: every transfer faults
    flip_bit_at: int | None = None  # bit 0 of this byte of flash turns over once it is written
    drop_flash_writes: bool = False  # the flash keeps what it held; nobody complains
    flash_bytes: int = 0x40000  # what the last two look at, from address 0


class _HangUpError(Exception):
    """A fault closes the connection."""


class _SilenceError(Exception):
    """A fault leaves a request without an answer."""


class _Client:
    """A connected debugger: bytes in, lines answered."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self._pending = b""

    def serve(self, answer: Callable[[dict[str, Any]], dict[str, Any] | None]) -> bool:
        """Read what has come and answer its lines; False when the connection has ended."""
        try:
            data = self.sock.recv(65536)
            *lines, self._pending = (self._pending + data).split(b"\n")
            for line in lines:
                request = json.loads(line)
                if (reply := answer(request)) is not None:
                    reply["id"] = request["id"]
                    self.sock.sendall(json.dumps(reply).encode() + b"\n")
        # A debugger that was killed, or something else that speaks no JSON.
        except (OSError, ValueError, LookupError, TypeError, _HangUpError):
            return False
        return bool(data)


class _Probe:
    """An ADIv5 debug port, one memory access port, and the faults of all that is behind them."""

    def __init__(self, core: DebugCore, faults: ProbeFaults) -> None:
        self._core, self._faults = core, faults
        self._ctrl_stat = 0
        self._kept: bytes | None = None
        self._flipped = False
        self._handlers: dict[str, Callable[..., Any]] = {
            "readprop": _PROPERTIES.__getitem__,
            "reset": self._reset,
            "assert_reset": self._assert_reset,
            "is_reset_asserted": self._is_reset_asserted,
            "read_dp": self._read_dp,
            "write_dp": self._write_dp,
            "read_ap": self._read_ap,
            "write_ap": self._write_ap,
            "get_memory_interface_for_ap": self._memory_interface,
            "read_mem": self._read_memory,
            "write_mem": self._write_memory,
            "read_block32": self._read_block32,
            "write_block32": self._write_block32,
            "read_block8": self._read_block8,
            "write_block8": self._write_block8,
        }

    def perform(self, request: str, arguments: list[Any]) -> Any:
        """Do what a debugger asks.

        Raises:
            LinkError: nothing at that address, no power, or QEMU is gone.
        """
        if self._has_come(self._faults.hangs_up_after_runs):
            raise _HangUpError
        if self._has_come(self._faults.silent_after_runs):
            raise _SilenceError
        if request in _NOTHING_TO_DO:
            return None
        if request != "readprop" and self._has_come(self._faults.no_power_after_runs):
            raise LinkError("no acknowledge")
        return self._handlers[request](*arguments)

    def _has_come(self, after_runs: int | None) -> bool:
        return after_runs is not None and self._core.runs >= after_runs

    def _assert_reset(self, asserted: bool) -> None:
        if not asserted:
            self._reset()

    def _is_reset_asserted(self) -> bool:
        return False

    def _reset(self) -> None:
        self._core.reset(Deadline(_REQUEST_TIMEOUT_S))

    def _read_dp(self, address: int) -> int:
        if address == _DP_DPIDR:
            return _CORTEX_M0_DPIDR
        return self._ctrl_stat if address == _DP_CTRL_STAT else 0

    def _write_dp(self, address: int, value: int) -> None:
        if address == _DP_CTRL_STAT:
            requests = value & _POWER_UP_REQUESTS
            self._ctrl_stat = requests | requests << 1

    def _read_ap(self, address: int) -> int:
        if address >> 24 != 0:  # only access port 0 exists
            return 0
        registers = {_AP_CSW: _CSW_ENABLED_32_BIT, _AP_BASE: ROM_TABLE | 3, _AP_IDR: _AHB_AP_IDR}
        return registers.get(address & 0xFC, 0)

    def _write_ap(self, _address: int, _value: int) -> None:
        """Take what sets up the memory access port, whose memory interface is used instead."""

    def _memory_interface(self, _version: int, access_port: int) -> int | None:
        return 0 if access_port == 0 else None

    def _read_memory(self, _handle: int, address: int, bits: int) -> int:
        return int.from_bytes(self._read(address, bits // 8), "little")

    def _write_memory(self, _handle: int, address: int, value: int, bits: int) -> None:
        self._write(address, value.to_bytes(bits // 8, "little"))

    def _read_block32(self, _handle: int, address: int, words: int) -> list[int]:
        return list(struct.unpack(f"<{words}I", self._read(address, 4 * words)))

    def _write_block32(self, _handle: int, address: int, words: list[int]) -> None:
        self._write(address, struct.pack(f"<{len(words)}I", *words))

    def _read_block8(self, _handle: int, address: int, length: int) -> list[int]:
        return list(self._read(address, length))

    def _write_block8(self, _handle: int, address: int, data: list[int]) -> None:
        self._write(address, bytes(data))

    def _read(self, address: int, length: int) -> bytes:
        deadline = Deadline(_REQUEST_TIMEOUT_S)
        if address < self._faults.flash_bytes:
            self._damage_flash(deadline)
        return self._core.read(address, length, deadline)

    def _write(self, address: int, data: bytes) -> None:
        deadline = Deadline(_REQUEST_TIMEOUT_S)
        if self._faults.drop_flash_writes and self._kept is None:
            self._kept = self._core.read(0, self._faults.flash_bytes, deadline)
        self._core.write(address, data, deadline)

    def _damage_flash(self, deadline: Deadline) -> None:
        """Make the flash what the fault says, before anybody looks at it."""
        if self._kept is not None:
            self._core.write(0, self._kept, deadline)
        at = self._faults.flip_bit_at
        if at is not None and self._core.runs and not self._flipped:
            byte = self._core.read(at, 1, deadline)[0]
            if byte != _ERASED:
                self._core.write(at, bytes((byte ^ 1,)), deadline)
                self._flipped = True


class ProbeBridge:
    """Serves the probe to one debugger at a time; a second one is told that it is in use.

    Attributes:
        address: pyOCD's unique id of the probe, ``remote:127.0.0.1:PORT``.
    """

    def __init__(
        self,
        rsp: RspClient,
        qmp: QmpClient,
        lock: contextlib.AbstractContextManager[Any],
        faults: ProbeFaults,
    ) -> None:
        self._probe, self._lock = _Probe(DebugCore(rsp, qmp, faults.cpuid), faults), lock
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"remote:127.0.0.1:{self._listener.getsockname()[1]}"
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, name="probe bridge", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Hang up and end the thread; may be called twice."""
        self._wake.close()
        self._thread.join()

    def _serve(self) -> None:
        with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
            for own in (self._listener, self._woken):
                stack.callback(own.close)
                selector.register(own, selectors.EVENT_READ)
            first: _Client | None = None
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self._woken:
                        return
                    if key.fileobj is self._listener:
                        client = _Client(stack.enter_context(self._listener.accept()[0]))
                        selector.register(client.sock, selectors.EVENT_READ, client)
                        first = first or client
                        continue
                    client = key.data
                    if not client.serve(self._answer if client is first else _refuse):
                        selector.unregister(client.sock)
                        client.sock.close()
                        first = None if client is first else first

    def _answer(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """Return the status and result of a request, or None where a fault keeps the probe silent."""
        try:
            with self._lock:
                result = self._probe.perform(request["request"], request.get("arguments", []))
        except _SilenceError:
            return None
        except LinkError as error:
            return {"status": _TRANSFER_FAULT, "error": str(error)}
        except (ValueError, KeyError, TypeError, OverflowError, struct.error) as error:
            return {"status": _PROBE_ERROR, "error": f"{request} is not understood ({error!r})"}
        return {"status": _OK} if result is None else {"status": _OK, "result": result}


def _refuse(_request: dict[str, Any]) -> dict[str, Any]:
    return {"status": _PROBE_ERROR, "error": "probe is in use by another client"}
