"""The nouns of hilbench as frozen records. No I/O, no behaviour beyond arithmetic on their fields."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

TimeBase = Literal["cycles", "instructions", "host", "time", "unknown"]
"""What a tick count means: exact cycles (simavr, RTL), instructions (QEMU with icount), host time
(native board), time on a real board, or unknown: a program behind a PTY."""


@dataclass(frozen=True)
class Timeouts:
    """Deadlines in seconds; every wait on a board has one."""

    start_s: float = 10.0  # emulator or power-on to a link that opens
    hello_s: float = 5.0
    reply_s: float = 5.0  # any request but RUN
    run_s: float = 120.0  # one RUN message, i.e. all its inferences
    flash_s: float = 60.0


@dataclass(frozen=True)
class SerialMatch:
    """Which of the serial ports that are plugged in is the board's: all keys given must match."""

    vid: str | None = None  # four hex digits, e.g. "0483"
    pid: str | None = None
    serial_number: str | None = None  # leading zeros do not count: J-Link pads its own
    interface: str | None = None  # USB interface number, where one device has several ports
    location: str | None = None  # USB location, e.g. "1-1.2", where serial numbers are all alike


@dataclass(frozen=True)
class FlasherConfig:
    """``[board.<id>.flasher]``, or just its tool."""

    tool: str  # driver name
    probe_serial: str | None = None
    target: str | None = None  # the tool's own name of the chip
    args: tuple[str, ...] = ()
    verify: bool = True
    command: tuple[str, ...] = ()  # of the command flasher: argv with {image} {hex} {serial} ...
    expect: str | None = None  # of the command flasher: regular expression that success prints


@dataclass(frozen=True)
class PowerSwitchConfig:
    """``[board.<id>.power]``: how the board's supply is switched."""

    driver: str
    args: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class MeterConfig:
    """``[board.<id>.meter]``, or just its driver."""

    driver: str = "none"
    emulator: str | None = None  # emulated meter that stands in for the instrument
    serial: str | SerialMatch | None = None  # of the instrument, as for boards
    supplies: bool = False  # the meter is the board's supply; else it is in series with it
    marker: str | None = None  # logic input that is wired to the marker pin, e.g. "D0"
    args: tuple[tuple[str, str], ...] = ()  # the driver's own


@dataclass(frozen=True)
class CurrentModel:
    """``[board.<id>.current]``: what an emulated board draws, so that injected energy is known."""

    idle_ma: float
    active_ma: float
    operators_ma: tuple[float, ...] = ()  # of marked operators, in turn; empty: active_ma
    tail_us: float = 0.0  # time constant of what lies between board and meter
    noise_ma: float = 0.0  # rms, white
    drift_ma_per_s: float = 0.0
    clock_ppm: float = 0.0  # of the meter's clock
    seed: int = 1


@dataclass(frozen=True)
class Quarantine:
    """``[board.<id>.quarantine]``: why the board is not used, and until when."""

    reason: str
    until: date | None = None  # the first day that it is used again; None: until it is removed


@dataclass(frozen=True)
class BoardConfig:
    """One ``[board.<id>]`` table of boards.toml."""

    id: str
    firmware: str  # the image's port, e.g. "mps2-an386"
    chip: str = ""  # checked against HELLO when given
    emulator: str | None = None  # driver name; None is a real board
    emulator_args: tuple[tuple[str, str], ...] = ()
    serial: str | SerialMatch | None = None  # path, pyserial URL, or what identifies the port
    baud: int = 115200
    flasher: FlasherConfig | None = None
    meter: MeterConfig = field(default_factory=MeterConfig)
    supply_v: float | None = None  # None: nobody said
    supply_max_v: float | None = None  # what the board bears; needed where a meter supplies it
    powered_ma: float | None = None  # it draws at least this much when it has power
    current: CurrentModel | None = None  # of an emulated meter
    active_ma: float | None = None  # synthetic meter: current while an inference runs
    tags: tuple[str, ...] = ()
    notes: str = ""
    timeouts: Timeouts = field(default_factory=Timeouts)
    power: PowerSwitchConfig | None = None
    quarantine: Quarantine | None = None
    source: str = ""  # file it came from, for error sentences


@dataclass(frozen=True)
class VariantConfig:
    """One ``[variant.<name>]`` table of suite.toml, paths resolved."""

    name: str
    model: Path
    vectors: str
    technique: str = "none"
    parent: str | None = None


@dataclass(frozen=True)
class VectorsConfig:
    """One ``[vectors.<name>]`` table of suite.toml, paths resolved."""

    name: str
    file: Path
    labels: Path | None = None
    metric: Literal["top1", "auc", "mse", "none"] = "top1"
    quantise: Literal["host", "offset128", "none"] = "host"
    dtype: str | None = None  # of raw .bin files
    golden: Path | None = None  # .npz with "<variant>" int8 TFLM outputs


@dataclass(frozen=True)
class SuiteConfig:
    """suite.toml."""

    name: str
    variants: tuple[VariantConfig, ...]
    vectors: tuple[VectorsConfig, ...]
    sessions: int = 3
    warm_up: int = 1
    iterations: int = 10
    description: str = ""
    source: str = ""


BLOCK_ALIGNMENT: Final = 16  # of each of several inputs or outputs, in bytes


@dataclass(frozen=True)
class TensorInfo:
    """A model's input or output."""

    name: str
    shape: tuple[int, ...]
    dtype: str  # numpy name: "int8", "float32"
    scale: float  # 0.0 for float tensors
    zero_point: int

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape))

    @property
    def bytes(self) -> int:
        """Size on the device in bytes."""
        return self.size * int(np.dtype(self.dtype).itemsize)


@dataclass(frozen=True)
class PlannedOperator:
    """One operator of a plan, for reports."""

    index: int
    name: str  # e.g. "CONV_2D+RELU"
    kernel: str  # e.g. "conv_s8"
    macs: int
    output_shape: tuple[int, ...]


@dataclass(frozen=True)
class Placement:
    """Bytes of the arena that a tensor or an operator's scratch holds.

    From step ``first`` to step ``last``, inclusive; step i is operator i, -1 is before the first one,
    and the number of operators is after the last one. An output may begin in what its operator has
    consumed of its input.
    """

    name: str
    offset: int
    bytes: int
    first: int
    last: int


@dataclass(frozen=True)
class Payload:
    """What a board is sent as its model, and executes."""

    data: bytes
    sha256: str  # hex, of data
    arena_bytes: int | None  # None: the board plans its memory itself
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    operators: tuple[PlannedOperator, ...]

    @property
    def input(self) -> TensorInfo:
        """The input of a model with one input; ValueError where it has several."""
        (only,) = self.inputs
        return only

    @property
    def output(self) -> TensorInfo:
        """The output of a model with one output; ValueError where it has several."""
        (only,) = self.outputs
        return only

    @property
    def input_bytes(self) -> int:
        """Size of the block that all inputs lie in."""
        return block_bytes(self.inputs)

    @property
    def output_bytes(self) -> int:
        """Size of the block that all outputs lie in."""
        return block_bytes(self.outputs)


@dataclass(frozen=True)
class Plan(Payload):
    """What the built-in runtime executes: made by models.planner, loaded as it is."""

    arena_bytes: int
    constant_bytes: tuple[int, ...] = ()  # that each operator adds; shared ones count once
    placements: tuple[Placement, ...] = ()
    bound_bytes: int = 0  # no arena with these kernels could be smaller


def block_offsets(tensors: Sequence[TensorInfo]) -> tuple[int, ...]:
    """Return where the inputs (or outputs) of a model lie in its one block, in bytes.

    They follow each other in the model's order, each at a multiple of BLOCK_ALIGNMENT.
    """
    offsets, end = [], 0
    for tensor in tensors:
        offsets.append(-(-end // BLOCK_ALIGNMENT) * BLOCK_ALIGNMENT)
        end = offsets[-1] + tensor.bytes
    return tuple(offsets)


def block_bytes(tensors: Sequence[TensorInfo]) -> int:
    """Return the size of the block of a model's inputs (or outputs)."""
    return block_offsets(tensors)[-1] + tensors[-1].bytes


@dataclass(frozen=True)
class VectorSet:
    """Test vectors ready for one model. ``x`` is [n, *input shape]; ``y`` is [n] labels or None.

    ``more`` are the arrays of further inputs, where the model has several.
    """

    name: str
    x: NDArray[np.generic]
    y: NDArray[np.generic] | None
    sha256: str  # hex, of the source file(s)
    metric: str
    more: tuple[NDArray[np.generic], ...] = ()

    @property
    def inputs(self) -> tuple[NDArray[np.generic], ...]:
        """One array per input of the model."""
        return (self.x, *self.more)


@dataclass(frozen=True)
class Image:
    """A built firmware image and what it says of itself."""

    port: str
    path: Path
    build_id: str  # hex
    sha256: str  # hex, of the ELF
    compiler: str
    flags: str
    sections: tuple[tuple[str, int], ...]  # name, bytes


@dataclass(frozen=True)
class ClockInfo:
    """How ticks of a board become the unit of its time base."""

    time_base: TimeBase
    unit: str  # "instructions", "us", "cycles"
    per_tick: float  # units in one tick
    counter_hz: int
    source: str  # register | measured | declared


@dataclass(frozen=True)
class Edge:
    """The marker pin of an emulated board changed."""

    t_s: float  # device time since the emulator's start
    high: bool
    asleep: bool = False  # of a rise: the board sleeps until the fall


@dataclass(frozen=True)
class RunResult:
    """One RUN message: all its timed inferences."""

    ticks: NDArray[np.uint32]  # [inferences], empty when the device's buffer was full
    inferences: int
    ticks_sum: int
    ticks_min: int
    ticks_max: int
    cold_ticks: int | None
    restore_ticks_sum: int
    outputs_equal: bool
    outputs: NDArray[np.uint8] | None  # [slots, output_bytes] raw
    window_ticks: int = 0  # the marker pin was high that long; 0 without a marker flag


@dataclass(frozen=True)
class MemoryFigures:
    """Memory on the device in bytes."""

    stack_bytes: int
    stack_used_bytes: int
    model_bytes: int
    arena_bytes: int
    vector_bytes: int


@dataclass(frozen=True)
class LinkFigures:
    """What a session cost on the wire."""

    bytes_sent: int
    bytes_received: int
    retransmitted_packets: int
    bad_packets_host: int
    bad_packets_board: int
    runs_repeated: int
