"""What an X-NUCLEO-LPM01A can be asked for, and what it then delivers.

Ref: ST UM2243 (ranges, accuracy), UM2269 (commands, rates by format).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from hilbench.errors import ConfigError
from hilbench.power import MeterSetup, MeterSpec, RangeSpec

MODEL = "X-NUCLEO-LPM01A"
RATES_HZ = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000)
ASCII_HZ = 5_000  # fastest without an end: 10 kHz lasts 1 s, 20 kHz 0.5 s
ENERGY_HZ = 10_000  # shortest integration time 100 us
VOLT_MIN, VOLT_MAX = 1.8, 3.3
TOP_A = 0.050  # dynamic mode; it trips at 59 mA

_GAIN_LIMIT = 0.02
# UM2243 promises +-2 % from 100 nA on and nothing below, so that this much may be missing.
_OFFSET_LIMIT_A = 100e-9
VOLT_LIMIT = 0.02  # configure() refuses a supply that is farther off by the meter's own word
# Nobody states the clock: +-1 % is the worst that an STM32L4 without a crystal does.
_CLOCK_LIMIT = 0.01
_SOURCE = (
    "UM2243: dynamic mode, 100 nA to 50 mA +-2 %; supply within 2 % of what is set, by the meter's "
    "own 'volt get'; clock: the limit of an STM32L4 without a crystal"
)
# Which exponents of a sample count as ranges: from codes of 1 mA to tops of 1 nA.
_COARSEST_A, _SMALLEST_A = 1e-3, 1e-9
_EXPONENTS = 40

_CHOICES = {
    "output": ("current", "energy"),
    "format": ("ascii_dec", "bin_hexa"),
    "acqmode": ("dyn", "stat"),
    "funcmode": ("optim", "high"),
    "events": ("both", "none"),
}


@dataclass(frozen=True)
class Settings:
    """A setup that the meter can do."""

    sample_hz: int
    supply_v: float
    energy: bool  # samples are J per period
    binary: bool
    funcmode: str
    events: bool  # edges of D7 come between the samples

    @property
    def ampere(self) -> float:
        """Return the current of a sample of one, by the set voltage where it is an energy."""
        return self.sample_hz / self.supply_v if self.energy else 1.0

    @cached_property
    def exponents(self) -> range:
        """Return the exponents e of samples that are ranges: 10**-e in ASCII, 16**-e in binary."""
        within = [
            e
            for e in range(_EXPONENTS)
            if self._lsb_a(e) <= _COARSEST_A and self._codes * self._lsb_a(e) >= _SMALLEST_A
        ]
        return range(within[0], within[-1] + 1)

    @property
    def _codes(self) -> int:
        return 4095 if self.binary else 9999

    def _lsb_a(self, exponent: int) -> float:
        return (16.0 if self.binary else 10.0) ** -exponent * self.ampere

    def commands(self) -> tuple[str, ...]:
        """Return the commands that prepare a capture, but for the supply."""
        rate = f"{self.sample_hz // 1000}k" if self.sample_hz >= 1000 else str(self.sample_hz)  # noqa: PLR2004
        return (
            "acqmode dyn",
            f"output {'energy' if self.energy else 'current'}",
            *(() if self.energy else (f"funcmode {self.funcmode}",)),
            f"format {'bin_hexa' if self.binary else 'ascii_dec'}",
            f"freq {rate}",
            "acqtime inf",
            "trigsrc sw",
            "trigdelay 0",
            *(("eventsrc d7 ris", "eventsrc d7 fal") if self.events else ()),
            "pwrend on",  # a stale "off" cuts the board at the end of a capture
        )

    def spec(self) -> MeterSpec:
        """Return what is delivered. Its ranges are the exponents of a sample."""
        lsbs = [self._lsb_a(e) for e in self.exponents]
        energy = (
            f"; samples are energies per period, made a current by the declared {self.supply_v:g} V"
            if self.energy
            else ""
        )
        return MeterSpec(
            sample_hz=float(self.sample_hz),
            clock_limit=_CLOCK_LIMIT,
            ranges=tuple(
                RangeSpec(lsb, _GAIN_LIMIT, _OFFSET_LIMIT_A, min(self._codes * lsb, TOP_A))
                for lsb in lsbs
            ),
            logic_inputs=("D7",) if self.events else (),
            voltage="set",
            voltage_limit=VOLT_LIMIT,
            source=_SOURCE + energy,
        )


def settings(setup: MeterSetup) -> Settings:
    """Return how the meter is set for a setup.

    The driver's own keys: ``output`` (current, energy), ``format`` (ascii_dec, bin_hexa; default:
    ASCII up to 5 kHz), ``funcmode`` (optim, high), ``events`` (both, none; default: both in ASCII).

    Raises:
        ConfigError: the meter cannot do it; says what it can.
    """
    args = dict(setup.args)
    for key, value in args.items():
        if key not in _CHOICES:
            raise ConfigError(
                f"the meter's table has the key {key!r}; the LPM01A knows {', '.join(_CHOICES)}"
            )
        if value not in _CHOICES[key]:
            raise ConfigError(
                f"the meter's table has {key} = {value!r}; the LPM01A knows "
                f"{', '.join(_CHOICES[key])}"
            )
    if not setup.supplies:
        raise ConfigError(
            "the LPM01A measures only what it supplies; set supplies = true in the meter's table "
            "and take away the board's other supply"
        )
    if not VOLT_MIN <= setup.supply_v <= VOLT_MAX:
        raise ConfigError(
            f"supply_v = {setup.supply_v:g} V is outside what the LPM01A supplies, {VOLT_MIN} V to "
            f"{VOLT_MAX} V; correct supply_v or use another meter"
        )
    if args.get("acqmode") == "stat":
        raise ConfigError(
            "acqmode = 'stat' gives one average per acquisition and no samples; leave it out, and "
            "the driver holds the board in static mode by itself while no capture runs"
        )
    return _settings(setup, args)


def _settings(setup: MeterSetup, args: dict[str, str]) -> Settings:
    asked_hz = ASCII_HZ if setup.sample_hz is None else setup.sample_hz
    if args.get("format") == "bin_hexa" and setup.sample_hz is None:
        asked_hz = RATES_HZ[-1] if args.get("output") != "energy" else ENERGY_HZ
    if asked_hz not in RATES_HZ:
        raise ConfigError(
            f"sample_hz = {asked_hz:g} Hz is no rate of the LPM01A; it knows "
            f"{', '.join(map(str, RATES_HZ))} Hz"
        )
    rate_hz = int(asked_hz)
    energy = args.get("output") == "energy"
    if energy and rate_hz > ENERGY_HZ:
        raise ConfigError(
            f"output = 'energy' at {rate_hz} Hz is above the LPM01A's limit of {ENERGY_HZ} Hz; "
            f"lower sample_hz or use output = 'current'"
        )
    binary = args.get("format", "bin_hexa" if rate_hz > ASCII_HZ else "ascii_dec") == "bin_hexa"
    if not binary and rate_hz > ASCII_HZ:
        raise ConfigError(
            f"format = 'ascii_dec' at {rate_hz} Hz: the LPM01A's line carries ASCII without an end "
            f"up to {ASCII_HZ} Hz only; lower sample_hz or use format = 'bin_hexa'"
        )
    events = args.get("events", "none" if binary else "both") == "both"
    if events and binary:
        raise ConfigError(
            f"events = 'both' with format = 'bin_hexa': the LPM01A tells edges of D7 between ASCII "
            f"samples only; use sample_hz <= {ASCII_HZ} Hz, or find windows by their pulse pattern"
        )
    return Settings(rate_hz, setup.supply_v, energy, binary, args.get("funcmode", "optim"), events)
