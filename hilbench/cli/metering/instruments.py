"""Which instruments are plugged in, which is meant, and who it is."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import Any

from hilbench import plugins
from hilbench.board.signals import uninterrupted
from hilbench.cli.common import print_json
from hilbench.drivers import _holders
from hilbench.errors import MeterError, ToolMissingError, UsageError
from hilbench.interfaces import PowerMeter
from hilbench.power import MeterIdentity, MeterSpec
from hilbench.records import MeterConfig
from hilbench.report.quantities import si

_HASH_DIGITS = 16


@dataclass(frozen=True)
class Instrument:
    """A row of the list: an instrument, or a driver that found none."""

    driver: str
    address: str | None  # None: none is plugged in, or nobody can look
    serial_number: str | None
    state: str  # ready | busy | none plugged in | needs tool
    detail: str  # who has it; the line that installs the tool


def sampling_drivers() -> dict[str, ModuleType]:
    """Return the drivers of instruments by name; what only estimates, or reads files, is none."""
    loaded = {name: plugins.load("power", name) for name in plugins.names("power")}
    return {name: driver for name, driver in loaded.items() if hasattr(driver, "INSTRUMENTS")}


def find_all() -> list[Instrument]:
    """Look for every instrument that a driver knows; opens none."""
    return [row for name, driver in sampling_drivers().items() for row in _find(name, driver)]


def _find(name: str, driver: ModuleType) -> Iterator[Instrument]:
    try:
        found: list[tuple[str, str]] = driver.find()
    except ToolMissingError as error:
        yield Instrument(name, None, None, "needs tool", str(error))
        return
    if not found:
        yield Instrument(name, None, None, "none plugged in", "")
    for address, number in found:
        others = ", ".join(f"{who} (pid {pid})" for pid, who in _holders.holders(address))
        state = "busy" if others else "ready"
        yield Instrument(name, address, number, state, f"held by {others}" if others else "")


def list_instruments(args: argparse.Namespace) -> int:
    """Print what is plugged in."""
    rows = find_all()
    if args.json:
        print_json([asdict(row) for row in rows])
        return 0
    from rich.markup import escape  # noqa: PLC0415

    from hilbench.cli.console import PipeConsole  # noqa: PLC0415
    from hilbench.report.tables import TextColumn, print_table  # noqa: PLC0415

    def column(title: str, cells: list[str]) -> TextColumn:
        return TextColumn(title, [escape(cell) for cell in cells])

    print_table(
        PipeConsole(),
        "instruments",
        [column("driver", [row.driver for row in rows])],
        [
            column("address", [row.address or "-" for row in rows]),
            column("serial number", [row.serial_number or "-" for row in rows]),
            column("state", [": ".join(filter(None, (r.state, r.detail))) for r in rows]),
        ],
    )
    return 0


def driver_named(name: str) -> ModuleType:
    """Return a driver that delivers samples.

    Raises:
        UsageError: no such driver, or one of files or estimates.
    """
    known = sampling_drivers()
    if name not in known:
        raise UsageError(
            f"--driver {name}: no such instrument; hilbench drives: {', '.join(known)}"
        )
    return known[name]


def address_of(name: str, driver: ModuleType, port: str | None) -> str:
    """Return --port, or the only instrument of this driver.

    Raises:
        MeterError: none is plugged in, or several.
        ToolMissingError: the driver's package is not installed.
    """
    if port is not None:
        return port
    found: list[tuple[str, str]] = driver.find()
    if len(found) == 1:
        return found[0][0]
    if not found:
        raise MeterError(
            f"no {name} is plugged in; plug it in, or say where it is: --port PATH; "
            "`hilbench meter list` shows what is there"
        )
    here = ", ".join(f"{address} ({number or 'no number'})" for address, number in found)
    raise MeterError(f"{len(found)} {name} are plugged in: {here}; say which: --port PATH")


@contextlib.contextmanager
def opened(
    name: str, port: str | None, config: MeterConfig, timeout_s: float
) -> Iterator[PowerMeter]:
    """Open an instrument; closed, and its supply off, when the block ends by whatever way.

    Raises:
        UsageError, MeterError, ToolMissingError: as ``driver_named`` and ``address_of``.
        CalibrationError: what it says of itself cannot be true.
    """
    driver = driver_named(name)
    address = address_of(name, driver, port)
    meter: PowerMeter = driver.open_meter(config, address, timeout_s)
    try:
        yield meter
    finally:
        with uninterrupted():  # a second Ctrl-C would leave a supply on that outlives its port
            meter.close()


def parse_args(pairs: list[str]) -> tuple[tuple[str, str], ...]:
    """``KEY=VALUE`` of --arg, as boards.toml would have them in ``args``.

    Raises:
        UsageError: no '='.
    """
    for pair in pairs:
        if not pair.partition("=")[1] or pair.startswith("="):
            raise UsageError(f"--arg {pair}: is not KEY=VALUE")
    return tuple((p.partition("=")[0], p.partition("=")[2]) for p in pairs)


def identify(args: argparse.Namespace) -> int:
    """Ask one instrument, or all that are plugged in, who they are."""
    if args.driver is None:
        if args.port is not None:
            raise UsageError("--port needs --driver, which says what is behind it")
        targets = [(r.driver, r.address) for r in find_all() if r.address is not None]
        if not targets:
            raise MeterError(
                "no instrument is plugged in; name one behind a path: --driver ppk2 --port PATH"
            )
    else:
        targets = [(args.driver, args.port)]
    config_args = parse_args(args.arg)
    facts = []
    for name, port in targets:
        config = MeterConfig(driver=name, serial=port, args=config_args)
        with opened(name, port, config, args.timeout) as meter:
            facts.append(_facts(meter.identity, _spec(meter)))
    if args.json:
        print_json(facts)
        return 0
    for number, fact in enumerate(facts):
        print("" if number == 0 else "\n", end="")
        _print_facts(fact)
    return 0


def calibration_sha256(identity: MeterIdentity) -> str | None:
    """Return the hash of the calibration text; None where the instrument keeps it to itself."""
    text = identity.calibration
    return hashlib.sha256(text.encode()).hexdigest() if text else None


def _spec(meter: PowerMeter) -> MeterSpec | None:
    """Return what it delivers; None where that depends on what it is asked for."""
    try:
        return meter.spec
    except MeterError:
        return None


def _facts(identity: MeterIdentity, spec: MeterSpec | None) -> dict[str, Any]:
    who = {k: v for k, v in asdict(identity).items() if k != "calibration"}
    return {
        **who,
        "calibration_sha256": calibration_sha256(identity),
        "spec": None if spec is None else asdict(spec),
    }


def _print_facts(fact: dict[str, Any]) -> None:
    """One line a fact."""
    digest = fact["calibration_sha256"]
    kind = "  (EMULATED: a program, no instrument)" if fact["emulated"] else ""
    lines = [
        ("model", f"{fact['model']}{kind}"),
        ("serial number", fact["serial_number"] or "it has none"),
        ("firmware", fact["firmware"] or "it does not say"),
        ("address", fact["address"]),
        (
            "calibration",
            f"plausible; sha256 {digest[:_HASH_DIGITS]}" if digest else "it keeps that to itself",
        ),
    ]
    lines += _spec_lines(fact["spec"]) if fact["spec"] else [("delivers", "depends on its setup")]
    for name, text in lines:
        print(f"{name:<14} {text}")


def _spec_lines(spec: dict[str, Any]) -> list[tuple[str, str]]:
    lines = [
        ("rate", f"{si(spec['sample_hz'], 'Hz')} ± {_percent(spec['clock_limit'])}"),
        ("voltage", f"{spec['voltage']}, ± {_percent(spec['voltage_limit'])}"),
        ("logic inputs", " ".join(spec["logic_inputs"]) or "none"),
    ]
    lines += [
        (
            f"range {index}",
            (
                f"to {si(r['top_a'], 'A')}, one code {si(r['lsb_a'], 'A')}, "
                f"± {_percent(r['gain_limit'])} ± {si(r['offset_limit_a'], 'A')}"
            ),
        )
        for index, r in enumerate(spec["ranges"])
    ]
    return [*lines, ("limits from", spec["source"])]


def _percent(share: float) -> str:
    """A limit that nobody states is NaN."""
    return "unknown" if math.isnan(share) else f"{100 * share:g} %"
