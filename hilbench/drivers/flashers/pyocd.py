"""Flash with pyOCD: CMSIS-DAP, ST-Link and J-Link probes, its own or a CMSIS-Pack's flash algorithms.

boards.toml::

    flasher = { tool = "pyocd", probe_serial = "9900…", target = "nrf51", args = ["frequency=1000000"] }

``target`` is pyOCD's name of the chip (``pyocd list --targets``), ``args`` are its session options
(``pack=./Nordic.pack`` for a chip that is not built in).

Ref: https://pyocd.io/docs/api_examples.html and https://pyocd.io/docs/options.html (0.46).

pyOCD runs in a process of its own, because it waits for ever for a probe that has stopped answering.
It does not verify what it has written, so the segments are read back here.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from hilbench.drivers.flashers._files import load_segments
from hilbench.drivers.flashers._run import Sign, judge, run_tool
from hilbench.errors import (
    ConfigError,
    FlashBusyError,
    FlashError,
    FlashNotFoundError,
    FlashVerifyError,
    FlashWriteError,
    FlashWrongChipError,
    ToolMissingError,
)
from hilbench.interfaces import EmulatedBoard
from hilbench.records import BoardConfig, FlasherConfig, Image

USES_PROBE = True  # which stays attached beside an energy window
INSTALL = "pip install 'hilbench[pyocd]'"
_WORKER = "hilbench.drivers.flashers._pyocd_worker"
# The worker's own words; see _pyocd_worker.Outcome.
_SIGNS = (
    Sign(
        r"^not found: ", FlashNotFoundError,
        "is the probe plugged in and the board powered? `pyocd list` shows probes",
    ),
    Sign(r"^busy: ", FlashBusyError, "close the debugger or the other run that has the probe"),
    Sign(r"^wrong chip: ", FlashWrongChipError, "check probe_serial, target and chip in boards.toml"),
    Sign(r"^not written: ", FlashWriteError, "flash again; the board holds no usable image until then"),
    Sign(
        r"^not verified: ", FlashVerifyError,
        "flash again, and if it happens at the same address the flash is worn out",
    ),
    Sign(r"^not restarted: ", FlashError, "the image is written and verified; reset the board by hand"),
)  # fmt: skip
_PROOF = r"^flashed$"


def flash(
    board: BoardConfig, image: Image, emulated: EmulatedBoard | None, timeout_s: float
) -> None:
    """Write the image's segments, read them back and reset.

    Raises:
        ConfigError: no probe, no target, or a target that pyOCD does not know.
        ToolMissingError: pyOCD is not installed.
        FlashNotFoundError: no such probe, or no chip answers behind it.
        FlashBusyError: another program has the probe.
        FlashWrongChipError: another core than ``chip`` says, or no flash at the image's addresses.
        FlashWriteError: erased or programmed, but not all of it.
        FlashVerifyError: read back differently; names the address.
        FlashTimeoutError: not done within ``timeout_s``; pyOCD was killed.
    """
    job = _job(board, image, emulated)
    if importlib.util.find_spec("pyocd") is None:
        raise ToolMissingError(f"pyocd is not installed; install it with: {INSTALL}")
    with tempfile.TemporaryDirectory(prefix="hilbench-") as folder:
        path = Path(folder) / "job.json"
        path.write_text(json.dumps(job), encoding="utf-8")
        command = (sys.executable, "-m", _WORKER, str(path))
        result = run_tool(board.id, "pyocd", command, timeout_s, INSTALL)
    if unknown := re.search(r"^unknown target: (.*)$", result.output, re.MULTILINE):
        raise ConfigError(
            f"{board.source}: [board.{board.id}.flasher] target is {job['target']!r}, which pyOCD "
            f"does not know ({unknown[1]}); `pyocd list --targets` lists them, and "
            'args = ["pack=FILE"] adds those of a CMSIS-Pack'
        )
    judge(board.id, "pyocd", result, _SIGNS, _PROOF)


def _job(board: BoardConfig, image: Image, emulated: EmulatedBoard | None) -> dict[str, Any]:
    flasher = board.flasher or FlasherConfig("pyocd")
    where = f"{board.source}: [board.{board.id}.flasher]"
    probe = flasher.probe_serial if emulated is None else emulated.probe_address
    if probe is None and emulated is None:
        raise ConfigError(
            f"{where} names no probe, and another board's could be taken; add probe_serial, "
            "which `pyocd list` shows"
        )
    if probe is None or (emulated is not None and not probe.startswith("remote:")):
        raise ConfigError(
            f"{where} is pyocd, but the emulated board has no probe for it; add "
            f'emulator_args = {{ probe = "pyocd" }} to [board.{board.id}]'
        )
    if flasher.target is None:
        raise ConfigError(
            f'{where} does not say which chip to write; add target = "nrf51" or like, '
            "`pyocd list --targets` lists them"
        )
    return {
        "probe": probe,
        "target": flasher.target,
        "core": board.chip if board.chip.startswith("cortex-") else "",
        "options": dict(_option(text, where) for text in flasher.args),
        "verify": flasher.verify,
        "segments": [(at, content.hex()) for at, content in load_segments(board, image)],
    }


def _option(text: str, where: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(
            f'{where} args holds {text!r}, must be a pyOCD session option such as "frequency=1000000"'
        )
    try:
        return name, json.loads(value)  # numbers, true, false
    except ValueError:
        return name, value
