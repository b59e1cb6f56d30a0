"""A board in this process that lives in its own time: a counter, a marker pin, no firmware.

What its meter sees is made by the emulated meter for boards in device time.
"""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np

from hilbench.board.metering import DeviceTimeMetering
from hilbench.protocol.messages import GUARD_US, PATTERN, RunFlag
from hilbench.records import BoardConfig, CurrentModel, Edge, MeterConfig, RunResult

COUNTER_HZ = 1_000_000
TALK_S = 0.003  # of a request and its reply
CONFIG = BoardConfig(
    id="desk",
    firmware="x",
    emulator="x",
    supply_v=3.0,
    meter=MeterConfig("replay", emulator="device_time", marker="D0"),
    current=CurrentModel(idle_ma=1.0, active_ma=5.0, tail_us=100.0, noise_ma=0.01),
    source="boards.toml",
)


class Client:
    """Answers requests as a board does, in no time of the host's.

    Args:
        inference_s: of each vector, in turn.
        restore_s: before each inference but in a board without slots.
        operators_s: of an inference.
        slots: inputs that it keeps.
    """

    def __init__(self, inference_s=(0.004,), restore_s=0.0, operators_s=(), slots=8):
        self.inference_s, self.restore_s = inference_s, restore_s
        self.operators_s, self.slots = operators_s, slots
        self.edges = []
        self.now_s = 1.0
        self.requests = []
        self.forget_ticks = False

    def idle(self, duration_us, marker=False):
        self.now_s += TALK_S
        self._pulse(duration_us * 1e-6, asleep=True)
        return duration_us

    def run(self, vector, *, iterations, flags, want_ticks, want_outputs):
        assert not want_outputs
        index = int(vector[0, 0])
        seconds = self.inference_s[index]
        self.requests.append((flags, iterations, index))
        self.now_s += TALK_S
        restores_s = self.restore_s if self.slots else 0.0
        if flags & RunFlag.PATTERN:
            for chip in PATTERN:
                self._pulse(GUARD_US * 1e-6, asleep=chip == "0")
        if flags & RunFlag.GUARD:
            self._pulse(GUARD_US * 1e-6, asleep=True)
        if flags & RunFlag.MARKER_WINDOW:
            self._pulse(iterations * (seconds + restores_s))
            if flags & RunFlag.GUARD:
                self._pulse(GUARD_US * 1e-6, asleep=True)
            window_s = iterations * (seconds + restores_s)
        elif flags & RunFlag.MARKER_EACH:
            for _ in range(iterations):
                self.now_s += restores_s
                self._pulse(seconds)
            window_s = iterations * seconds
        else:
            window_s = 0.0
            for operator_s in iterations * self.operators_s:
                self._pulse(operator_s)
                self.now_s += 60e-6
        kept = want_ticks and not self.forget_ticks
        return RunResult(
            ticks=np.full(iterations if kept else 0, ticks(seconds), np.uint32),
            inferences=iterations,
            ticks_sum=ticks(seconds * iterations),
            ticks_min=ticks(seconds),
            ticks_max=ticks(seconds),
            cold_ticks=None,
            restore_ticks_sum=ticks(restores_s * iterations),
            outputs_equal=True,
            outputs=None,
            window_ticks=ticks(window_s),
        )

    def read(self, region, offset, length):
        """Profile of the run before: ticks of each operator over its inferences."""
        iterations = self.requests[-1][1]
        profile = [ticks(s * iterations) for s in self.operators_s]
        return np.array(profile, "<u8").tobytes()[offset : offset + length]

    def _pulse(self, seconds, *, asleep=False):
        end_s = self.now_s + seconds
        self.edges += [Edge(self.now_s, high=True, asleep=asleep), Edge(end_s, high=False)]
        self.now_s = end_s


def ticks(seconds):
    return round(seconds * COUNTER_HZ)


def board(client, config=CONFIG):
    """Return an open board in a session, with its meter."""
    emulated = SimpleNamespace(marker_edges=lambda: tuple(client.edges))
    return SimpleNamespace(
        config=config,
        client=client,
        metering=DeviceTimeMetering(config, emulated),
        clock=SimpleNamespace(counter_hz=COUNTER_HZ),
    )


def variant(vectors=8, operators=0):
    """Return a variant whose vectors hold their own number."""
    x = np.arange(vectors, dtype=np.uint8).reshape(-1, 1)
    names = itertools.repeat(None, operators)
    return SimpleNamespace(
        config=SimpleNamespace(name="small"),
        vectors=SimpleNamespace(x=x),
        input_bytes=x,
        plan=SimpleNamespace(operators=tuple(names)),
    )


def timed(client, iterations=10):
    """Return what the session's timed run told."""
    flags = RunFlag.MARKER_EACH
    told = client.run(
        variant().input_bytes[:1],
        iterations=iterations,
        flags=flags,
        want_ticks=True,
        want_outputs=False,
    )
    client.requests.clear()
    return told
