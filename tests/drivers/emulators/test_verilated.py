"""The build of the RTL board: what it needs, what it keeps, how it fails."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest

from hilbench.drivers.emulators import _verilated, verilator
from hilbench.errors import BoardError, ConfigError, ToolMissingError
from hilbench.records import BoardConfig

VERILOG = """
module VexRiscv (
  input clk
);
  reg [31:0] count;
  reg gone;
  reg [7:0] memory [0:3];
  wire [31:0] next;
  Cache cache_1 (
    .clk (clk) //i
  );
  assign next = count + 1;
  always @ (posedge clk) begin
    if(next <= 3) begin
      count <= next;
    end
    gone <= 1'b0;
    memory[0] <= 8'h0;
    _zz_1 <= next;
  end
endmodule
module Cache (
  input clk
);
  always @ (posedge clk) begin
    valid <= 1'b1;
  end
endmodule
"""
HEADER = """
        VL_IN8(clk,0,0);
        CData/*0:0*/ VexRiscv__DOT__cache_1__DOT__valid;
        IData/*31:0*/ VexRiscv__DOT__count;
        IData/*31:0*/ VexRiscv__DOT__next;
        SData/*15:0*/ VexRiscv__DOT___zz_1;
        CData/*0:0*/ VexRiscv__DOT__valid;
        VlUnpacked<CData/*7:0*/, 4> VexRiscv__DOT__memory;
"""


@pytest.fixture
def tools(monkeypatch, tmp_path):
    """Everything installed, nothing run; returns the core's file."""
    core = tmp_path / "Core.v"
    core.write_text("module")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(_verilated, "core_verilog", lambda: core)
    monkeypatch.setattr(_verilated, "find_tool", lambda program, *_: f"/usr/bin/{program}")
    monkeypatch.setattr(_verilated, "_run", lambda *_: "Verilator 5.006 2023-01-22 rev x\n")
    monkeypatch.setattr(_verilated.importlib.metadata, "version", lambda _: "1.0")
    return core


def test_registers_are_what_a_clock_edge_assigns_and_verilator_has_kept():
    assert _verilated.registers(VERILOG, HEADER) == [
        "VexRiscv__DOT___zz_1",
        "VexRiscv__DOT__cache_1__DOT__valid",
        "VexRiscv__DOT__count",
    ]


def test_built_once_and_again_when_its_inputs_change(tools, monkeypatch, tmp_path):
    built: list[Path] = []

    def build(core: Path, kept: Path, *_: str) -> None:
        kept.mkdir(parents=True)
        (kept / _verilated.PROGRAM).touch()
        built.append(kept)

    monkeypatch.setattr(_verilated, "_build", build)
    first = _verilated.soc()
    assert _verilated.soc() == first
    assert len(built) == 1
    assert first.program.is_relative_to(tmp_path / "cache" / "hilbench" / "verilator")
    assert first.description == "verilator 5.006 Core pythondata-cpu-vexriscv 1.0"
    tools.write_text("module of another core")
    assert _verilated.soc() != first
    assert len(built) == 2


def test_a_build_that_fails_leaves_nothing_behind(tools, monkeypatch, tmp_path):
    def fail(command: list[str], *_: object) -> str:
        if "--cc" in command:
            raise BoardError("bad")
        return "Verilator 5.006\n"

    monkeypatch.setattr(_verilated, "_run", fail)
    with pytest.raises(BoardError, match="bad"):
        _verilated.soc()
    left = {p.suffix for p in (tmp_path / "cache" / "hilbench" / "verilator").iterdir()}
    assert left == {".lock"}


@pytest.mark.parametrize("program", ["verilator", "g++", "make"])
def test_a_missing_tool(program, monkeypatch, tmp_path):
    monkeypatch.setattr(_verilated, "core_verilog", lambda: tmp_path)
    monkeypatch.setattr(
        shutil, "which", lambda name: None if name == program else f"/usr/bin/{name}"
    )
    with pytest.raises(ToolMissingError) as caught:
        _verilated.soc()
    assert str(caught.value) == (
        f"{program} is not installed and RTL boards need it; "
        f"install it with: apt-get install {program}"
    )


def test_the_core_is_missing(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ToolMissingError) as caught:
        _verilated.core_verilog()
    assert str(caught.value) == (
        "the Python package pythondata-cpu-vexriscv is not installed and RTL boards need its "
        "Verilog; install it with: pip install 'hilbench[rtl]'"
    )


def test_a_build_step_that_fails():
    with pytest.raises(BoardError) as caught:
        _verilated._run(["sh", "-c", "echo a; echo '%Error: x.v:1: no'; exit 3"], Path("/"), 30.0)
    assert str(caught.value) == (
        "sh failed with exit status 3 while it built the RTL board: '%Error: x.v:1: no'; "
        "is this Verilator at least 5.006 (Debian 12)?"
    )


def test_a_build_step_that_hangs():
    with pytest.raises(
        BoardError,
        match=r"^sleep has not ended within 0\.05 s and was killed; is the host overloaded\?$",
    ):
        _verilated._run(["sleep", "60"], Path("/"), 0.05)


def test_unknown_argument():
    config = BoardConfig(id="rv", firmware="x", emulator_args=(("core", "picorv32"),))
    with pytest.raises(
        ConfigError,
        match=r"^board rv: the verilator emulator has no argument 'core'; it takes none$",
    ):
        verilator.start(config, 1.0)
