"""Everything that can go wrong, by who failed, with the exit code that says so.

::

    HilbenchError
    ├── UsageError            2  the command line, a Python call
    │   └── ConfigError       2  boards.toml, suite.toml; a supply that a board does not bear
    ├── ModelError            2  a .tflite file
    │   ├── UnsupportedOperatorError
    │   └── ModelTooLargeError
    ├── VectorError           2  test vectors
    ├── ToolMissingError      3  an emulator, a compiler, an optional package
    ├── ImageError            3  a firmware image: absent, stale, not the one on the board
    ├── FlashError            3  a flasher; what it ran, how it ended, how long it took
    │   ├── FlashNotFoundError   no probe, no port, no answer from a bootloader
    │   ├── FlashBusyError       somebody else has the probe or the port
    │   ├── FlashWrongChipError  another chip than asked for
    │   ├── FlashWriteError      erased or written, but not all of it
    │   ├── FlashVerifyError     read back differently
    │   └── FlashTimeoutError    the tool did not end; it was killed
    ├── BoardError            3  a board: silent, died, somebody else's
    │   ├── BoardSilentError     no answer to HELLO
    │   ├── BoardBusyError
    │   ├── BoardQuarantinedError
    │   ├── DeviceError          a typed ERROR packet from the firmware
    │   └── BoardUnpoweredError  draws less current than a board that has power
    ├── MeterError            3  a power meter: absent, silent, unplugged, refuses
    │   ├── MeterBusyError       another process has it
    │   └── CalibrationError     its calibration is missing or cannot be true
    ├── LinkError             3  bytes between host and board
    │   └── ProtocolError        a packet or message that breaks PROTOCOL.md
    ├── MeasurementError      3  data arrived, but they cannot be a measurement
    │   ├── WindowError          marker windows in the trace are not those that the device told
    │   └── LostSamplesError     more samples lost than the limit
    ├── OutputMismatchError   1  the device computed something else than the oracle
    ├── StoreError            3  a run directory
    └── BaselineError         4  a baseline: absent, or it cannot take what is offered

A sentence is one line: the fact, the value, the limit with its unit, what to do next.
"""

from __future__ import annotations

from typing import Any, ClassVar


class HilbenchError(Exception):
    """Base of every error that hilbench raises on purpose."""

    exit_code: ClassVar[int] = 3


class UsageError(HilbenchError):
    """The command line or a Python call asks for something that does not exist."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration file is wrong; names file, table and key."""


class ModelError(HilbenchError):
    """A model file cannot be read or planned."""

    exit_code = 2


class UnsupportedOperatorError(ModelError):
    """The built-in runtime has no kernel for an operator of the model."""


class ModelTooLargeError(ModelError):
    """The model does not fit the board; states bytes needed and available."""


class VectorError(HilbenchError):
    """Test vectors do not fit the model, or their file is wrong."""

    exit_code = 2


class ToolMissingError(HilbenchError):
    """A program or an optional package is absent; states the install line."""


class ImageError(HilbenchError):
    """A firmware image is absent, stale, or not the one that answers."""


class FlashError(HilbenchError):
    """The image did not get onto the board.

    Attributes:
        command: what was run, empty for an API.
        exit_code_of_tool: None when it was killed or is an API.
        duration_s: until it ended.
        last_line: the tool's last line that says what went wrong.
    """

    def __init__(
        self,
        message: str,
        *,
        command: tuple[str, ...] = (),
        exit_code_of_tool: int | None = None,
        duration_s: float = 0.0,
        last_line: str = "",
    ) -> None:
        super().__init__(message)
        self.command = command
        self.exit_code_of_tool = exit_code_of_tool
        self.duration_s = duration_s
        self.last_line = last_line


class FlashNotFoundError(FlashError):
    """No probe, no port, or no answer from a bootloader."""


class FlashBusyError(FlashError):
    """Somebody else has the probe or the port."""


class FlashWrongChipError(FlashError):
    """Another chip than the board's table says."""


class FlashWriteError(FlashError):
    """Erased or written, but not all of it: the board holds no usable image."""


class FlashVerifyError(FlashError):
    """Read back differently than written."""


class FlashTimeoutError(FlashError):
    """The tool did not end within its limit and was killed with everything it had started."""


class BoardError(HilbenchError):
    """The board is silent, died, or is not the one boards.toml describes."""


class BoardSilentError(BoardError):
    """The port is open, but nothing answers HELLO on it."""


class BoardBusyError(BoardError):
    """Another process holds the board."""


class BoardQuarantinedError(BoardError):
    """The board's table says that it is not to be used, why, and until when."""


class DeviceError(BoardError):
    """The firmware refused a request with a typed ERROR packet."""

    def __init__(self, message: str, *, code: str, detail: tuple[int, int] = (0, 0)) -> None:
        super().__init__(message)
        self.code = code
        self.detail = detail


class BoardUnpoweredError(BoardError):
    """The meter sees less current than a board that has power draws."""


class MeterError(HilbenchError):
    """A power meter is absent, silent, unplugged, or refuses."""


class MeterBusyError(MeterError):
    """Another process has the meter."""


class CalibrationError(MeterError):
    """A meter's calibration is missing or cannot be true; no default takes its place."""


class LinkError(HilbenchError):
    """Bytes did not get through between host and board within the deadline."""


class ProtocolError(LinkError):
    """A packet or message breaks PROTOCOL.md."""


class MeasurementError(HilbenchError):
    """Data arrived intact, but they cannot be a measurement.

    Attributes:
        capture: the ``Recording`` that it is about, which a run then keeps; None: of no capture.
    """

    capture: Any = None


class WindowError(MeasurementError):
    """Windows in the trace are not those that the device told: number, order or duration."""


class LostSamplesError(MeasurementError):
    """A meter lost more samples than the limit."""


class OutputMismatchError(HilbenchError):
    """The device computed something else than the oracle."""

    exit_code = 1


class StoreError(HilbenchError):
    """A run directory cannot be written or read."""


class BaselineError(HilbenchError):
    """A baseline is absent, or what is offered to it is no whole measurement."""

    exit_code = 4


EXIT_PASS = 0
EXIT_REGRESSION = 1
EXIT_USAGE = 2
EXIT_COULD_NOT_MEASURE = 3
EXIT_INCONCLUSIVE = 4
EXIT_INTERRUPTED = 130
