"""Results of MLPerf Tiny's runner in energy mode (``results.json``): one window in each trial.

``power.samples`` are joules, one each millisecond, from an X-NUCLEO-LPM01A; ``power.timestamps``
are [number, index] of its falling edges: a window is samples[a:b] between two of them, which gives
the published sums to the last digit. D7 is high but for the sample that an edge begins.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilbench.drivers.power import _replay_file as file
from hilbench.errors import ConfigError
from hilbench.power import Chunk, MeterSetup, RangeSpec

_RATE_HZ = 1000.0
_GAIN_LIMIT = 0.02  # UM2243: dynamic current measurement
_TOP_A = 0.05
_DIGITS = 4  # of a sample as the instrument sends it
_MAX_BYTES = 1 << 28
_D7 = 1  # bit 0 of the inputs


def open_file(path: Path, setup: MeterSetup) -> file.FileRecording:
    """Open a trial: the only one, or number ``trial`` of the arguments, from 0 on.

    Raises:
        MeterError: unreadable, or no results in energy mode.
        ConfigError: no such trial, or the supply is not the one of the file.
    """
    trials = _trials(path)
    asked = dict(setup.args).get("trial", "" if len(trials) > 1 else "0")
    if asked not in {str(k) for k in range(len(trials))}:
        raise ConfigError(
            f'{path}: trial = "{asked}", it has trials 0 to {len(trials) - 1}; say which one in the '
            f"arguments"
        )
    sample_j, events, supply_v = _power(path, trials[int(asked)], int(asked))
    if not math.isnan(setup.supply_v) and setup.supply_v != supply_v:
        raise ConfigError(
            f"{path}: was measured at {supply_v:g} V, supply_v is {setup.supply_v:g}; say the same"
        )
    setup = replace(setup, supply_v=supply_v)
    current_a = sample_j * (_RATE_HZ / supply_v)
    logic = np.full(len(sample_j), _D7, np.uint8)
    logic[events] = 0

    def read() -> Iterator[Chunk]:
        yield file.chunk(0, current_a.copy(), supply_v, logic)

    digit_j = 10.0 ** (math.floor(math.log10(sample_j.max())) - _DIGITS + 1)
    limits = RangeSpec(digit_j * _RATE_HZ / supply_v, _GAIN_LIMIT, 0.0, _TOP_A)
    words = "UM2243: 2 % of the dynamic current; the offset is part of it"
    spec = file.spec(setup, _RATE_HZ, ("D7",), "set", source=words, ranges=(limits,))
    who = file.identity(path, setup, "X-NUCLEO-LPM01A")
    return file.FileRecording(who, spec, setup, read)


def _trials(path: Path) -> list[Any]:
    try:
        with path.open("rb") as stream:
            values = json.loads(stream.read(_MAX_BYTES))
    except OSError as error:
        raise file.unreadable(path, error) from error
    except (ValueError, RecursionError) as error:
        raise file.damaged(path, "no JSON") from error
    if not isinstance(values, list) or not values:
        raise file.damaged(path, "no results of MLPerf Tiny's runner (a list of trials)")
    return values


def _power(
    path: Path, trial: Any, number: int
) -> tuple[NDArray[np.float64], NDArray[np.int64], float]:
    try:
        power = trial["power"]
        samples, stamps, supply_v = power["samples"], power["timestamps"], power["voltage"]
        sample_j = np.array([float(value) for value in samples])
        events = np.array([int(index) for _, index in stamps], np.int64)
        supply_v = float(supply_v)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise file.damaged(
            path, f"trial {number} has no power of energy mode ({type(error).__name__}: {error})"
        ) from error
    if (
        not np.isfinite(sample_j).all()
        or not sample_j.max(initial=0) > 0
        or not 0 < supply_v < np.inf
    ):
        raise file.damaged(path, f"trial {number} holds no energy, or numbers that are not finite")
    if len(events) and not (events.min() >= 0 and events.max() < len(sample_j)):
        raise file.damaged(path, f"trial {number} has an event beyond its {len(sample_j)} samples")
    return sample_j, events, supply_v
