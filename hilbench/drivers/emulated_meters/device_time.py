"""A trace of an emulated board in the board's own time, made from its marker edges afterwards.

For boards that are not paced to the host (QEMU, RTL, simavr running free): nothing runs beside them
and nothing can be late. ``[board.<id>.meter]``: driver = "replay", emulator = "device_time";
``args.sample_hz`` sets the rate. The meter is ideal but for what ``[board.<id>.current]`` says of
noise, tail and clock.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hilbench.drivers.emulated_meters._current import Change, Sampler, Timeline
from hilbench.errors import ConfigError, MeterError
from hilbench.power import (
    CaptureEnd,
    Chunk,
    InjectedWindow,
    MeterIdentity,
    MeterSetup,
    MeterSpec,
    RangeSpec,
)
from hilbench.recordings import Spool, Spooled
from hilbench.records import BoardConfig, CurrentModel, Edge

SAMPLE_HZ = 100_000.0
LOGIC_INPUTS = tuple(f"D{bit}" for bit in range(8))
_MARGIN_S = 0.01  # before the first edge and after the last
_SETTLED_TAILS = 20  # time constants
_BLOCK_SAMPLES = 1 << 16
_NS_PER_S = 1e9


def identity(config: BoardConfig) -> MeterIdentity:
    """Return who measures: nobody, which ``emulated`` says."""
    return MeterIdentity("replay", "device time", "", "", f"marker of {config.id}", True, "")


def spec(config: BoardConfig) -> MeterSpec:
    """Return what the trace is: without limits but that of the clock, which is the model's error.

    Raises:
        ConfigError: no current model, an unknown argument, or a rate that is none.
    """
    _bit(config)
    clock_limit = abs(_model(config).clock_ppm) * 1e-6
    exact = RangeSpec(lsb_a=0.0, gain_limit=0.0, offset_limit_a=0.0, top_a=math.inf)
    return MeterSpec(
        _sample_hz(config), clock_limit, (exact,), LOGIC_INPUTS, "set", 0.0, "made from a model"
    )


def trace(config: BoardConfig, edges: Sequence[Edge]) -> tuple[Spooled, tuple[InjectedWindow, ...]]:
    """Return the samples of a board whose marker did this, and what it drew in each pulse.

    Args:
        config: ``current`` is what the board draws, ``meter.marker`` the logic input that its
            marker is on (None: on none), ``supply_v`` the voltage.
        edges: in device time; from a rise to a fall.

    Returns:
        The recording, from a little before the first edge to a little after the last. The truth
        in the edges' own time.

    Raises:
        ConfigError: as ``spec``, or the supply is not said.
        MeterError: no edges, or they do not begin with a rise and end with a fall.
        StoreError: the disk is full.
    """
    model, meter, bit = _model(config), spec(config), _bit(config)
    if config.supply_v is None:
        raise ConfigError(
            f"board {config.id}: an emulated meter needs to know supply_v; add it to boards.toml"
        )
    _check(config.id, edges)
    margin_s = _MARGIN_S + _SETTLED_TAILS * model.tail_us * 1e-6
    begin_s, end_s = edges[0].t_s - margin_s, edges[-1].t_s + margin_s
    timeline = Timeline(replace(model, seed=_seed(model.seed, begin_s)))
    timeline.add(Change(begin_s - margin_s, "voltage", config.supply_v))
    timeline.add(Change(begin_s - margin_s, "power", 1))
    for edge in edges:
        timeline.add(Change(edge.t_s, "marker", edge.high))
        if edge.asleep:
            timeline.add(Change(edge.t_s, "idle", 1))
    sampler = Sampler(timeline, meter.sample_hz)
    sampler.start(begin_s)
    setup = MeterSetup(config.supply_v, config.meter.supplies, args=config.meter.args)
    spool = Spool(identity(config), meter, setup)
    while left := sampler.due(end_s):
        block = sampler.block(min(left, _BLOCK_SAMPLES))
        count = len(block.current_a)
        logic = np.zeros(count, np.uint8)
        if bit is not None:
            logic[block.level] = 1 << bit
        valid, ranges = np.ones(count, np.bool_), np.zeros(count, np.uint8)
        spool.append(Chunk(block.start, block.current_a, config.supply_v, logic, valid, ranges))
    recording = spool.finish(CaptureEnd(spool.samples, 0, (), None, None))
    return recording, tuple(InjectedWindow(*w) for w in timeline.windows(end_s))


def _model(config: BoardConfig) -> CurrentModel:
    if config.current is None:
        raise ConfigError(
            f"board {config.id}: an emulated meter needs to know [board.{config.id}.current] with "
            "idle_ma and active_ma; add it to boards.toml"
        )
    return config.current


def _sample_hz(config: BoardConfig) -> float:
    arguments = dict(config.meter.args)
    text = arguments.pop("sample_hz", repr(SAMPLE_HZ))
    if arguments:
        raise ConfigError(
            f"board {config.id}: the device_time meter has no argument {next(iter(arguments))!r}; "
            "known: sample_hz"
        )
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not (math.isfinite(rate) and rate > 0):
        raise ConfigError(
            f"board {config.id}: sample_hz = {text!r} is no rate; write samples per second above 0"
        )
    return rate


def _bit(config: BoardConfig) -> int | None:
    marker = config.meter.marker
    if marker is None:
        return None
    if marker not in LOGIC_INPUTS:
        raise ConfigError(
            f"board {config.id}: meter.marker = {marker!r} is no logic input of the device_time "
            f"meter; known: {', '.join(LOGIC_INPUTS)}"
        )
    return LOGIC_INPUTS.index(marker)


def _check(board_id: str, edges: Sequence[Edge]) -> None:
    if not edges:
        raise MeterError(
            f"board {board_id}: its marker did not move, so there is nothing to trace; mark a RUN "
            "or IDLE between start and stop"
        )
    if len(edges) % 2 or any(edge.high == bool(k % 2) for k, edge in enumerate(edges)):
        raise MeterError(
            f"board {board_id}: {len(edges)} marker edges are no whole pulses; start and stop while "
            "the marker is down"
        )


def _seed(seed: int, begin_s: float) -> int:
    """Return another seed for every capture, the same in every process: noise must not repeat."""
    words = np.random.SeedSequence([seed, round(abs(begin_s) * _NS_PER_S)]).generate_state(1)
    return int(words[0])
