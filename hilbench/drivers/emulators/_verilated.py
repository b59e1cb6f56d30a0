"""Builds the program that is a RISC-V board: the core's Verilog, verilated, in our testbench.

The core comes from a package of Verilog and is never part of this project; see
``verilator_soc/README.md`` for its licence. A build takes about 15 s and is kept below
``$XDG_CACHE_HOME/hilbench/verilator`` under a hash of everything that it is made of.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hilbench.drivers.emulators._process import find_tool
from hilbench.errors import BoardError, ToolMissingError

PROGRAM = "hilbench-soc"
CORE_PACKAGE = "pythondata-cpu-vexriscv"
_CORE_MODULE = "pythondata_cpu_vexriscv"
_CORE_FILE = "verilog/VexRiscv_Full.v"
_TOP = "VexRiscv"
_WHY = "RTL boards"
_TESTBENCH = Path(__file__).parent / "verilator_soc" / "tb.cpp"
_BUILD_TIMEOUT_S = 300.0  # 10 to 20 s on an idle host
_VERSION_TIMEOUT_S = 30.0
_VERILATE = (
    *("--cc", "--exe", "-O3", "--flatten", "--noassert"),
    *("--x-assign", "fast", "--x-initial", "0"),  # a register that reset leaves alone begins at 0
    *("-Wno-lint", "-Wno-fatal", "--prefix", "Vtop", "--top-module", _TOP, "-o", PROGRAM),
)
_ANYWHERE = Path("/")
_RECIPE = "1"  # counts up when this module makes something else of the same inputs


@dataclass(frozen=True)
class VerilatedSoc:
    """A program that is a board.

    Attributes:
        program: its path, in the cache.
        description: core, its package's version, and Verilator's.
    """

    program: Path
    description: str


def soc() -> VerilatedSoc:
    """Return the program, building it if this machine has not done so yet.

    Raises:
        ToolMissingError: Verilator, a C++ compiler, make or the core's package is not installed.
        BoardError: the build fails or takes longer than five minutes; has its last line.
    """
    core, verilator, compiler, make = tools()
    version = _run([verilator, "--version"], _ANYWHERE, _VERSION_TIMEOUT_S).strip()
    key = hashlib.sha256(
        "\0".join(
            (
                _RECIPE,
                *_VERILATE,
                version,
                _run([compiler, "--version"], _ANYWHERE, _VERSION_TIMEOUT_S),
                hashlib.sha256(core.read_bytes()).hexdigest(),
                hashlib.sha256(_TESTBENCH.read_bytes()).hexdigest(),
            )
        ).encode()
    ).hexdigest()[:24]
    kept = _cache() / key
    if not (kept / PROGRAM).is_file():
        _build(core, kept, verilator, make)
    release = importlib.metadata.version(CORE_PACKAGE)
    return VerilatedSoc(
        kept / PROGRAM,
        f"{' '.join(version.split()[:2]).lower()} {core.stem} {CORE_PACKAGE} {release}",
    )


def tools() -> tuple[Path, str, str, str]:
    """Return the core's Verilog and the paths of verilator, g++ and make.

    Raises:
        ToolMissingError: one of them is not installed.
    """
    return (
        core_verilog(),
        find_tool("verilator", "verilator", _WHY),
        find_tool("g++", "g++", _WHY),
        find_tool("make", "make", _WHY),
    )


def core_verilog() -> Path:
    """Return the path of the core's Verilog.

    Raises:
        ToolMissingError: the package that carries it is not installed.
    """
    spec = importlib.util.find_spec(_CORE_MODULE)
    if spec is None or not spec.submodule_search_locations:
        raise ToolMissingError(
            f"the Python package {CORE_PACKAGE} is not installed and {_WHY} need its Verilog; "
            "install it with: pip install 'hilbench[rtl]'"
        )
    return Path(spec.submodule_search_locations[0]) / _CORE_FILE


def registers(verilog: str, header: str) -> list[str]:
    """Return the members of Verilator's class that are registers of the core.

    A register is what the Verilog assigns with ``<=``; memories (register file, caches, branch
    history) are arrays and not among them, nor is what Verilator has optimised away.

    Args:
        verilog: text of the core, one or more modules.
        header: text of ``Vtop___024root.h``, verilated with ``--flatten``.
    """
    modules = {
        match[1]: match[2]
        for match in re.finditer(
            r"^module (\w+)\b(.*?)^endmodule", verilog, re.MULTILINE | re.DOTALL
        )
    }
    clocked = {
        name: set(re.findall(r"^\s*(\w+)(?:\[[^\]]*\])? *<=", body, re.MULTILINE))
        for name, body in modules.items()
    }
    below = {
        instance: module
        for module, instance in re.findall(r"^  (\w+) (\w+) \($", modules[_TOP], re.MULTILINE)
        if module in modules
    }
    names = {f"{_TOP}__DOT__{register}" for register in clocked[_TOP]}
    for instance, module in below.items():
        names |= {f"{_TOP}__DOT__{instance}__DOT__{register}" for register in clocked[module]}
    members = re.findall(r"\b[CSIQ]Data/\*\d+:0\*/ (\w+);", header)
    return sorted(names.intersection(members))


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "hilbench" / "verilator"


def _build(core: Path, kept: Path, verilator: str, make: str) -> None:
    """Build once, however many processes want it, and leave no half of a build behind."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    with (kept.parent / f"{kept.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (kept / PROGRAM).is_file():
            return
        work = Path(tempfile.mkdtemp(prefix="build-", dir=kept.parent))
        try:
            _run(
                [verilator, *_VERILATE, "--Mdir", str(work), str(core), str(_TESTBENCH)],
                work,
                _BUILD_TIMEOUT_S,
            )
            header = (work / "Vtop___024root.h").read_text(encoding="utf-8")
            found = registers(core.read_text(encoding="utf-8"), header)
            (work / "registers.h").write_text(
                "#define HB_REGISTERS(X) " + " ".join(f"X({name})" for name in found) + "\n",
                encoding="utf-8",
            )
            _run([make, "-f", "Vtop.mk", PROGRAM], work, _BUILD_TIMEOUT_S)
            kept.mkdir(exist_ok=True)
            (work / PROGRAM).rename(kept / PROGRAM)
        finally:
            shutil.rmtree(work)


def _run(command: Sequence[str], folder: Path, timeout_s: float) -> str:
    """Return what a build step prints; kills the whole step at its limit."""
    with subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=timeout_s)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            raise BoardError(
                f"{Path(command[0]).name} has not ended within {timeout_s:g} s and was killed; "
                "is the host overloaded?"
            ) from None
    if process.returncode != 0:
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        wrong = [line for line in lines if "error" in line.lower()]
        raise BoardError(
            f"{Path(command[0]).name} failed with exit status {process.returncode} while it built "
            f"the RTL board: {(wrong or lines or ['without a word'])[0]!r}; "
            "is this Verilator at least 5.006 (Debian 12)?"
        )
    return output
