"""The debug registers of a Cortex-M0 in front of QEMU's gdbstub, as a probe's memory port sees them.

Ref: Armv6-M Architecture Reference Manual (DDI 0419), chapter C1 "Debug".

Memory is QEMU's. The private peripheral bus is answered here, because QEMU 7.2 has no debug
registers; what is not listed there reads as zero and ignores writes.
"""

from __future__ import annotations

from hilbench.drivers.emulators._deadline import Deadline
from hilbench.drivers.emulators._qmp import QmpClient
from hilbench.drivers.emulators._rsp import RspClient
from hilbench.errors import LinkError

CORTEX_M0_CPUID = 0x410CC200
ROM_TABLE = 0xE00FF000
_PPB, _PPB_END = 0xE0000000, 0xE0100000
_SCS = 0xE000E000
_CPUID, _AIRCR = 0xE000ED00, 0xE000ED0C
_DFSR, _DHCSR, _DCRSR, _DCRDR, _DEMCR = 0xE000ED30, 0xE000EDF0, 0xE000EDF4, 0xE000EDF8, 0xE000EDFC
_DBGKEY = 0xA05F
_C_DEBUGEN, _C_HALT, _C_STEP = 1 << 0, 1 << 1, 1 << 2
_S_REGRDY, _S_HALT, _S_LOCKUP, _S_RESET_ST = 1 << 16, 1 << 17, 1 << 19, 1 << 25
_REGWNR = 1 << 16
_VC_CORERESET = 1 << 0
_DFSR_HALTED, _DFSR_BKPT, _DFSR_VCATCH = 1 << 0, 1 << 1, 1 << 3
_VECTKEY, _SYSRESETREQ = 0xFA05 << 16, 1 << 2
_LR, _PC, _XPSR = 14, 15, 16
_GDB_XPSR = 25  # in the stub's arm-m-profile.xml
_ERASED_ENTRY = 0xFFFFFFFE  # where the erased vector table of a blank chip leads
_BKPT, _BKPT_MASK = 0xBE00, 0xFF00
_RAM_REGION = 2  # top four bits of an address
_HALT_WAIT_S = 0.005  # a debugger asks again and again: let the core have the host's CPU


class DebugCore:
    """A halting-debug view of the emulated core.

    Attributes:
        runs: how often the core was let run by the debugger.
    """

    def __init__(self, rsp: RspClient, qmp: QmpClient, cpuid: int = CORTEX_M0_CPUID) -> None:
        self._rsp, self._qmp = rsp, qmp
        self._words = {_CPUID: cpuid, **_component_ids()}
        self._enabled = 0  # DHCSR.C_DEBUGEN
        self._dcrdr = self._demcr = self._dfsr = 0
        self._was_reset = False
        self._locked_up = False
        self._breakpoint: int | None = None
        self.runs = 0

    def read(self, address: int, length: int, deadline: Deadline) -> bytes:
        """Return bytes at an address; a running core is stopped meanwhile.

        Raises:
            LinkError: there is nothing at that address, or QEMU is gone.
        """
        if not _PPB <= address < _PPB_END:
            return self._stopped_read(address, length, deadline)
        first = address & ~3
        words = range(first, address + length, 4)
        data = b"".join(self._read_ppb(at, deadline).to_bytes(4, "little") for at in words)
        return data[address - first :][:length]

    def write(self, address: int, data: bytes, deadline: Deadline) -> None:
        """Write bytes at an address; a running core is stopped meanwhile.

        Raises:
            LinkError: there is nothing at that address, or QEMU is gone.
        """
        if not _PPB <= address < _PPB_END:
            self._stopped_write(address, data, deadline)
            return
        for offset in range(0, len(data) - 3, 4):  # the registers take whole words only
            self._write_ppb(
                address + offset, int.from_bytes(data[offset : offset + 4], "little"), deadline
            )

    def reset(self, deadline: Deadline) -> None:
        """Reset the chip; the core halts at its first instruction where the debugger asked for it."""
        self._halt(deadline)
        self._qmp.reset(deadline)
        self._was_reset = True
        if self._enabled and self._demcr & _VC_CORERESET:
            self._dfsr |= _DFSR_VCATCH
        else:
            self._resume(deadline)

    def _halt(self, deadline: Deadline) -> None:
        self._rsp.halt(deadline)
        self._locked_up = False
        if self._breakpoint is not None:
            self._rsp.clear_breakpoint(self._breakpoint, deadline)
            self._breakpoint = None

    def _resume(self, deadline: Deadline) -> None:
        if self._rsp.read_register(_PC, deadline) == _ERASED_ENTRY:
            self._locked_up = True  # what silicon does; QEMU would abort
            return
        self._breakpoint = self._return_to_bkpt(deadline)
        if self._breakpoint is not None:
            self._rsp.set_breakpoint(self._breakpoint, deadline)
        self.runs += 1
        self._rsp.resume(deadline)

    def _return_to_bkpt(self, deadline: Deadline) -> int | None:
        """Return where LR leads if a BKPT in RAM waits there: how a flash algorithm ends.

        QEMU makes a HardFault of BKPT, so a breakpoint of the stub stands in its place.
        """
        address = self._rsp.read_register(_LR, deadline) & ~1
        if address >> 28 != _RAM_REGION:
            return None
        instruction = int.from_bytes(self._rsp.read(address, 2, deadline), "little")
        return address if instruction & _BKPT_MASK == _BKPT else None

    def _stopped_read(self, address: int, length: int, deadline: Deadline) -> bytes:
        was_running = self._rsp.running
        self._rsp.halt(deadline)
        try:
            return self._rsp.read(address, length, deadline)
        finally:
            if was_running:
                self._rsp.resume(deadline)

    def _stopped_write(self, address: int, data: bytes, deadline: Deadline) -> None:
        was_running = self._rsp.running
        self._rsp.halt(deadline)
        try:
            self._rsp.write(address, data, deadline)
        finally:
            if was_running:
                self._rsp.resume(deadline)

    def _read_ppb(self, address: int, deadline: Deadline) -> int:
        if address == _DHCSR:
            return self._read_dhcsr(deadline)
        plain = {_DCRDR: self._dcrdr, _DEMCR: self._demcr, _DFSR: self._dfsr, _AIRCR: _VECTKEY}
        return plain.get(address, self._words.get(address, 0))

    def _read_dhcsr(self, deadline: Deadline) -> int:
        if self._rsp.running and self._rsp.stopped_within(_HALT_WAIT_S, deadline):
            self._dfsr |= _DFSR_BKPT
            self._halt(deadline)
        value = self._enabled | _S_REGRDY
        if self._locked_up:
            value |= _S_LOCKUP
        elif not self._rsp.running:
            value |= _C_HALT | _S_HALT
        if self._was_reset:  # cleared by reading
            self._was_reset = False
            value |= _S_RESET_ST
        return value

    def _write_ppb(self, address: int, value: int, deadline: Deadline) -> None:
        if address == _DHCSR:
            self._write_dhcsr(value, deadline)
        elif address == _DCRSR:
            self._transfer_register(value, deadline)
        elif address == _DCRDR:
            self._dcrdr = value
        elif address == _DEMCR:
            self._demcr = value
        elif address == _DFSR:
            self._dfsr &= ~value
        elif address == _AIRCR and value & _SYSRESETREQ:
            self.reset(deadline)

    def _write_dhcsr(self, value: int, deadline: Deadline) -> None:
        if value >> 16 != _DBGKEY:
            return
        self._enabled = value & _C_DEBUGEN
        if self._enabled and value & _C_STEP:
            raise LinkError(
                "the emulated probe cannot step the core; halt and resume are all it does"
            )
        if self._enabled and value & _C_HALT:
            if self._rsp.running or self._locked_up:
                self._dfsr |= _DFSR_HALTED
            self._halt(deadline)
        elif not self._rsp.running:
            self._resume(deadline)

    def _transfer_register(self, dcrsr: int, deadline: Deadline) -> None:
        """Core register to DCRDR or back; CONTROL and PRIMASK, unknown to QEMU 7.2's stub, are 0."""
        number = {_XPSR: _GDB_XPSR}.get(dcrsr & 0x1F, dcrsr & 0x1F)
        known = number <= _PC or number == _GDB_XPSR
        if dcrsr & _REGWNR:
            if known:
                self._rsp.write_register(number, self._dcrdr, deadline)
        else:
            self._dcrdr = self._rsp.read_register(number, deadline) if known else 0


def _component_ids() -> dict[int, int]:
    """Return the ROM table, which lists the system control space alone, and both components' ids.

    Ref: CoreSight Architecture Specification (IHI 0029), chapter B2.
    """
    words = {ROM_TABLE: (_SCS - ROM_TABLE) & 0xFFFFF000 | 3, ROM_TABLE + 0xFCC: 1}
    for base, part, component_class in ((ROM_TABLE, 0x471, 0x1), (_SCS, 0x008, 0xE)):
        peripheral = (part & 0xFF, 0xB0 | part >> 8, 0x0B, 0x00)
        words |= {base + 0xFE0 + 4 * i: value for i, value in enumerate(peripheral)}
        words[base + 0xFD0] = 0x04
        component = (0x0D, component_class << 4, 0x05, 0xB1)
        words |= {base + 0xFF0 + 4 * i: value for i, value in enumerate(component)}
    return words
