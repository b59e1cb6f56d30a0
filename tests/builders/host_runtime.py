"""The plan runtime with its kernels as a shared library on the host, called through ctypes."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hilbench.records import Plan, TensorInfo, block_bytes, block_offsets

FIRMWARE = Path(__file__).resolve().parents[2] / "device_firmware"
SOURCES = sorted((FIRMWARE / "runtimes" / "plan").rglob("*.c"))
WARNINGS = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror", f"-I{FIRMWARE / 'include'}"]
ALIGNMENT = 16
# What builds a kernel set on the host: C stands in for instructions that it does not have.
SET_FLAGS: dict[str, tuple[str, ...]] = {
    "portable": (),
    "dsp": ("-DHB_WITH_DSP",),
    "fpu": ("-DHB_WITH_FPU",),
    "mve": ("-DHB_WITH_MVE", f"-I{Path(__file__).resolve().parent / 'mve'}"),
}


class _Model(ctypes.Structure):
    _fields_ = (
        ("input", ctypes.c_void_p),
        ("input_bytes", ctypes.c_size_t),
        ("output", ctypes.c_void_p),
        ("output_bytes", ctypes.c_size_t),
        ("arena_bytes", ctypes.c_size_t),
        ("operators", ctypes.c_uint16),
    )


class _Fault(ctypes.Structure):
    _fields_ = (("reason", ctypes.c_uint32), ("position", ctypes.c_uint32))


class RuntimeFaultError(Exception):
    def __init__(self, status: int, reason: int, position: int) -> None:
        super().__init__(status, reason, position)
        self.status, self.reason, self.position = status, reason, position


def compile_c(target: Path, sources: list[Path], flags: list[str]) -> None:
    compiler = shutil.which("gcc")
    assert compiler, "a host C compiler is needed: apt-get install gcc"
    command = [compiler, *WARNINGS, *flags, *map(str, sources), "-o", str(target)]
    subprocess.run(command, check=True)


def build(folder: Path, *flags: str) -> HostRuntime:
    library = folder / "hb_plan.so"
    sanitizer = ["-fsanitize=undefined", "-fno-sanitize-recover=undefined"]
    compile_c(library, SOURCES, ["-O2", "-g", "-shared", "-fPIC", *sanitizer, *flags])
    return HostRuntime(library)


def join(tensors: Sequence[TensorInfo], vector: Sequence[np.ndarray]) -> bytes:
    block = bytearray(block_bytes(tensors))
    for tensor, at, values in zip(tensors, block_offsets(tensors), vector, strict=True):
        raw = np.ascontiguousarray(values, tensor.dtype).tobytes()
        assert len(raw) == tensor.bytes
        block[at : at + len(raw)] = raw
    return bytes(block)


def aligned(size: int) -> np.ndarray:
    raw = np.zeros(size + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size]


class HostRuntime:
    MARK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint16)

    def __init__(self, library: Path) -> None:
        self._c = ctypes.CDLL(str(library))
        self._c.hb_runtime_name.restype = ctypes.c_char_p
        self._c.hb_runtime_kernels.restype = ctypes.c_char_p
        self.name = self._c.hb_runtime_name().decode()
        self.kernels = self._c.hb_runtime_kernels().decode()

    def load(self, data: bytes, arena_bytes: int) -> _Model:
        self._plan = aligned(len(data))
        self._plan[:] = np.frombuffer(data, np.uint8)
        self._arena = aligned(arena_bytes)
        self._arena[:] = 0xA5  # nothing may count on zeros
        model, fault = _Model(), _Fault()
        status = self._c.hb_runtime_load(
            ctypes.c_void_p(self._plan.ctypes.data),
            ctypes.c_size_t(len(data)),
            ctypes.c_void_p(self._arena.ctypes.data),
            ctypes.c_size_t(arena_bytes),
            ctypes.byref(model),
            ctypes.byref(fault),
        )
        self._check(status, fault)
        return model

    def invoke(self) -> None:
        fault = _Fault()
        self._check(self._c.hb_runtime_invoke(ctypes.byref(fault)), fault)

    def invoke_marked(self) -> list[int]:
        marks: list[int] = []
        fault = _Fault()
        mark = self.MARK(lambda _context, index: marks.append(index))
        self._check(self._c.hb_runtime_invoke_marked(mark, None, ctypes.byref(fault)), fault)
        return marks

    def run(self, plan: Plan, x: np.ndarray) -> np.ndarray:
        """x is [n, *input shape without batch or with]; returns [n, *output shape]."""
        (y,) = self.run_many(plan, [x])
        return y

    def run_many(self, plan: Plan, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """One array per input of the model; returns one per output."""
        model = self.load(plan.data, plan.arena_bytes)
        assert (model.input_bytes, model.output_bytes) == (plan.input_bytes, plan.output_bytes)
        outputs: list[list[np.ndarray]] = [[] for _ in plan.outputs]
        for vector in zip(*inputs, strict=True):
            ctypes.memmove(model.input, join(plan.inputs, vector), model.input_bytes)
            self.invoke()
            out = ctypes.string_at(model.output, model.output_bytes)
            offsets = block_offsets(plan.outputs)
            for found, tensor, at in zip(outputs, plan.outputs, offsets, strict=True):
                raw = out[at : at + tensor.bytes]
                found.append(np.frombuffer(raw, tensor.dtype).reshape(tensor.shape))
        return [np.stack(found) for found in outputs]

    @staticmethod
    def _check(status: int, fault: _Fault) -> None:
        if status != 0:
            raise RuntimeFaultError(status, fault.reason, fault.position)
