"""An emulated meter as a child process: how it is started, asked and ended."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hilbench.drivers.emulated_meters._faults import Loss
from hilbench.drivers.emulators._process import EmulatorProcess, find_tool
from hilbench.errors import ConfigError, MeterError
from hilbench.power import InjectedWindow
from hilbench.records import BoardConfig, CurrentModel

_RECEIVE_BYTES = 1 << 16
_ANSWER_S = 10.0
_DEATH_GRACE_S = 1.0  # between a closed socket and an exit status
_NOISE_SHARE = 5  # of sigma: a current as far above 0 is never clipped


@dataclass(frozen=True)
class Limits:
    """What an instrument can show."""

    instrument: str  # for sentences
    logic_inputs: tuple[str, ...]
    largest_a: float


@dataclass(frozen=True)
class MeterLog:
    """What an emulated meter did until now, in samples of its last capture."""

    captures: int
    made: int
    delivered: int  # into its FIFO; the rest of ``made`` is in ``losses``
    losses: tuple[Loss, ...]  # of all captures
    notes: tuple[str, ...]  # the client's commands


class MeterProcess:
    """A running emulated meter. See ``EmulatedMeter``."""

    def __init__(
        self, name: str, board_id: str, arguments: Sequence[str], timeout_s: float
    ) -> None:
        self._who = f"board {board_id}: the emulated {name}"
        self._lock = threading.Lock()
        self._received = b""
        self._control, theirs = socket.socketpair()
        module = f"hilbench.drivers.emulated_meters.{name}"
        argv = [sys.executable, "-m", module, *arguments, "--control-fd", str(theirs.fileno())]
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(self._control.close)
            with theirs:
                self._process = EmulatorProcess(board_id, argv, [theirs.fileno()])
            on_failure.callback(self._process.stop)
            self.pid = self._process.pid
            self.address: str = self._answer(timeout_s)["address"]
            on_failure.pop_all()

    def truth(self) -> tuple[InjectedWindow, ...]:
        """Return what the board drew in every marker window that has ended; times are the host's.

        Raises:
            MeterError: the process has died, e.g. because an edge came too late.
        """
        return tuple(InjectedWindow(*window) for window in self._ask()["windows"])

    def log(self) -> MeterLog:
        """Return what was made, sent and lost, and what the client asked for.

        Raises:
            MeterError: as ``truth``.
        """
        answer = self._ask()
        losses = tuple(Loss(**loss) for loss in answer["losses"])
        notes = tuple(answer["notes"])
        return MeterLog(answer["captures"], answer["made"], answer["delivered"], losses, notes)

    def stop(self) -> None:
        """End the process; may be called twice."""
        self._process.stop()
        self._control.close()

    def _ask(self) -> dict[str, Any]:
        with self._lock:
            # A dead process may have left its end open to nobody: the answer tells.
            with contextlib.suppress(OSError):
                self._control.sendall(b"\n")
            return self._answer(_ANSWER_S)

    def _answer(self, timeout_s: float) -> dict[str, Any]:
        end = time.monotonic() + timeout_s
        while b"\n" not in self._received:
            try:
                self._control.settimeout(max(1e-6, end - time.monotonic()))
                data = self._control.recv(_RECEIVE_BYTES)
            except TimeoutError:
                raise MeterError(
                    f"{self._who} did not answer within {timeout_s:g} s; is the host overloaded?"
                ) from None
            except OSError:
                data = b""
            if not data:
                raise MeterError(self._how_it_ended())
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _how_it_ended(self) -> str:
        how = self._process.ended(_DEATH_GRACE_S)
        if how is None:
            return f"{self._who} has closed its control socket; stop it and start again"
        words = self._process.last_words() or "without a word; start it again"
        return f"{self._who} has died ({how}): {words}"


def arguments(board: BoardConfig, edges_path: str | None, limits: Limits) -> list[str]:
    """Return the command line of a meter that measures a board.

    Raises:
        ConfigError, ToolMissingError: see ``start`` of the instruments.
    """
    find_tool("setpriv", "util-linux", "emulated meters")
    model = _checked(board, limits)
    return [
        *("--idle-ma", repr(model.idle_ma)),
        *("--active-ma", repr(model.active_ma)),
        f"--operators-ma={','.join(map(repr, model.operators_ma))}",
        *("--tail-us", repr(model.tail_us)),
        *("--noise-ma", repr(model.noise_ma)),
        f"--drift-ma-per-s={model.drift_ma_per_s!r}",
        f"--clock-ppm={model.clock_ppm!r}",
        *("--seed", str(model.seed)),
        *("--supply-v", repr(board.supply_v)),
        f"--marker={board.meter.marker or ''}",
        *(("--edges", edges_path) if edges_path is not None else ()),
    ]


def _checked(board: BoardConfig, limits: Limits) -> CurrentModel:
    model, marker = board.current, board.meter.marker
    if model is None or board.supply_v is None:
        missing = "supply_v" if model else f"[board.{board.id}.current] with idle_ma and active_ma"
        raise ConfigError(
            f"board {board.id}: an emulated meter needs to know {missing}; add it to boards.toml"
        )
    if marker is not None and marker not in limits.logic_inputs:
        raise ConfigError(
            f"board {board.id}: meter.marker = {marker!r} is no logic input of {limits.instrument}; "
            f"known: {', '.join(limits.logic_inputs)}"
        )
    currents_ma = (model.idle_ma, model.active_ma, *model.operators_ma)
    if max(currents_ma) * 1e-3 > limits.largest_a:
        raise ConfigError(
            f"board {board.id}: {limits.instrument} shows no more than {limits.largest_a * 1e3:g} mA,"
            f" and the board draws {max(currents_ma):g} mA; lower [board.{board.id}.current]"
        )
    if min(currents_ma) < _NOISE_SHARE * model.noise_ma:
        raise ConfigError(
            f"board {board.id}: noise_ma = {model.noise_ma:g} is more than a fifth of "
            f"{min(currents_ma):g} mA, and {limits.instrument} shows no negative current, so the "
            "truth would not be what it shows; lower noise_ma"
        )
    return model
