"""What the Joulescopes can do, and what a setup makes of it.

Ref: pyjoulescope_driver (topics, ``h/fs``, streams of each model).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from hilbench.errors import ConfigError, MeterError, ToolMissingError
from hilbench.power import MeterSetup, MeterSpec, RangeSpec

_RATES_HZ = tuple(n * 10**k for k in range(6, -1, -1) for n in (5, 2, 1))


@dataclass(frozen=True)
class Model:
    """One of the Joulescopes."""

    name: str
    top_hz: int
    inputs: Mapping[str, str]  # index in the topic, and its name
    top_a: float  # NaN: nobody says
    range_topic: str  # takes "auto"
    firmware_topics: Mapping[str, str]
    driver_min: tuple[int, ...] = (0,)


_FOUR = {"0": "GPI0", "1": "GPI1", "2": "GPI2", "3": "GPI3", "7": "T"}
_FIRMWARE = {"firmware": "c/fw/version", "FPGA": "s/fpga/version"}
MODELS = {
    "js110": Model("JS110", 2_000_000, {"0": "GPI0", "1": "GPI1"}, 10.0, "s/i/range/select", {}),
    "js220": Model("JS220", 1_000_000, _FOUR, 10.0, "s/i/range/mode", _FIRMWARE),
    "js320": Model(
        "JS320", 1_000_000, _FOUR, math.nan, "s/i/range/mode",
        {"firmware": "c/fw/version"}, (2, 2, 6),
    ),
}  # fmt: skip
_LIMITS = ("gain_percent", "offset_ua", "voltage_percent", "clock_ppm", "resolution_na")
_KEYS = ("gpi", "vref", *_LIMITS)
_VREFS = ("3v3", "external")


@dataclass(frozen=True)
class Settings:
    """A setup that a Joulescope can do."""

    model: Model
    sample_hz: int
    gpi: tuple[str, ...]  # indices, bit 0 first
    vref: str | None  # what the inputs compare with; None: as the instrument has it
    spec: MeterSpec


def split_path(path: str) -> tuple[Model, str]:
    """Return model and serial number of a device path, e.g. ``u/js220/002557``.

    Raises:
        MeterError: no path of a model that hilbench knows.
    """
    found = re.fullmatch(r"[^/]+/([^/]+)/([^/]+)", path)
    if found is None or found[1].lower() not in MODELS:
        raise MeterError(
            f"{path!r} is no Joulescope that hilbench knows (e.g. u/js220/002557; known: "
            f"{', '.join(m.name for m in MODELS.values())}); correct serial of the meter"
        )
    return MODELS[found[1].lower()], found[2]


def check_driver(model: Model, version: str) -> None:
    """Refuse a model that the installed driver package is too old for.

    Raises:
        ToolMissingError: names the version that is needed.
    """
    numbers = tuple(int(n) for n in re.findall(r"\d+", version)[:3])
    if numbers < model.driver_min:
        need = ".".join(map(str, model.driver_min))
        raise ToolMissingError(
            f"a {model.name} needs pyjoulescope_driver >= {need}, this is {version}; run, in an "
            f"environment with numpy 2 (without tflite-runtime): pip install "
            f"'pyjoulescope_driver>={need}'"
        )


def settings(model: Model, setup: MeterSetup) -> Settings:
    """Return how an instrument is set for a setup.

    The driver's own keys: ``gpi`` (inputs that are read, "0,1,7"; default: all but the trigger),
    ``vref`` (3v3, external), and what its maker or its calibration promises: ``gain_percent``,
    ``offset_ua``, ``voltage_percent``, ``clock_ppm``, ``resolution_na``. What is not said stays NaN,
    and the uncertainty that it is part of, too.

    Raises:
        ConfigError: the meter cannot do it; says what it can.
    """
    args = dict(setup.args)
    for key in args:
        if key not in _KEYS:
            raise ConfigError(
                f"the meter's table has the key {key!r}; the Joulescope knows {', '.join(_KEYS)}"
            )
    if setup.supplies:
        raise ConfigError(
            f"a {model.name} is in series with the board's supply and supplies nothing; set supplies "
            f"= false in the meter's table"
        )
    if args.get("vref") not in (None, *_VREFS):
        raise ConfigError(
            f"the meter's table has vref = {args['vref']!r}; the Joulescope knows "
            f"{', '.join(_VREFS)}"
        )
    rate_hz = model.top_hz if setup.sample_hz is None else setup.sample_hz
    if rate_hz not in _RATES_HZ or rate_hz > model.top_hz:
        raise ConfigError(
            f"sample_hz = {rate_hz:g} Hz is no rate of the {model.name}; it knows 1, 2 and 5 times "
            f"powers of ten, from 1 to {model.top_hz} Hz"
        )
    default = ",".join(i for i, name in model.inputs.items() if name != "T")
    gpi = tuple(filter(None, (i.strip() for i in args.get("gpi", default).split(","))))
    if unknown := [i for i in gpi if i not in model.inputs]:
        raise ConfigError(
            f"the meter's table has gpi = {args['gpi']!r}: a {model.name} has no input {unknown[0]}; "
            f"it has {', '.join(f'{i} ({name})' for i, name in model.inputs.items())}"
        )
    return Settings(model, int(rate_hz), gpi, args.get("vref"), _spec(model, rate_hz, gpi, args))


def _spec(model: Model, rate_hz: float, gpi: tuple[str, ...], args: dict[str, str]) -> MeterSpec:
    limit = {key: _limit(key, args) for key in _LIMITS}
    said = ", ".join(f"{key} {args[key]}" for key in _LIMITS if key in args)
    return MeterSpec(
        sample_hz=float(rate_hz),
        clock_limit=limit["clock_ppm"] * 1e-6,
        ranges=(
            RangeSpec(
                lsb_a=limit["resolution_na"] * 1e-9,
                gain_limit=limit["gain_percent"] * 1e-2,
                offset_limit_a=limit["offset_ua"] * 1e-6,
                top_a=model.top_a,
            ),
        ),
        logic_inputs=tuple(model.inputs[i] for i in gpi),
        voltage="measured",
        voltage_limit=limit["voltage_percent"] * 1e-2,
        source=f"the meter's table: {said}" if said else "nobody says: see the meter's table",
    )


def _limit(key: str, args: dict[str, str]) -> float:
    if key not in args:
        return math.nan
    try:
        value = float(args[key])
    except ValueError:
        value = math.nan
    if not value >= 0 or math.isinf(value):
        raise ConfigError(
            f"the meter's table has {key} = {args[key]!r}, which is no limit; write a number >= 0"
        )
    return value
