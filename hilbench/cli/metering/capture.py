"""``hilbench meter capture``: a trace on the disk, watched while it grows."""

from __future__ import annotations

import argparse
import contextlib
import math
import threading
from collections.abc import Callable

from hilbench.board.capture import Capture, LiveFigures
from hilbench.board.locks import board_lock
from hilbench.cli.console import PipeConsole
from hilbench.cli.metering.display import live
from hilbench.cli.metering.figures import print_figures
from hilbench.cli.metering.files import check_plot, check_target, plot, save
from hilbench.cli.metering.instruments import opened
from hilbench.cli.metering.request import Request, request_of
from hilbench.errors import EXIT_INTERRUPTED, EXIT_PASS
from hilbench.interfaces import PowerMeter
from hilbench.power import MeterIdentity, MeterSetup, Recording
from hilbench.recordings import Spool

_LOOK_S = 0.25  # between looks whether it still runs


def capture(args: argparse.Namespace) -> int:
    """Capture, print what was captured, save it; 130 when it was ended by Ctrl-C."""
    request = request_of(args)
    setup = request.setup
    check_target(args.output, args.format)
    check_plot(args.plot)
    console = PipeConsole()
    with (
        _held(request, args.timeout, console),
        opened(request.driver, request.port, request.config, args.timeout) as meter,
    ):
        meter.configure(setup)
        _say(console, _about(meter.identity, setup))
        if setup.supplies:
            meter.set_supply(on=True)
        recording, interrupted = _capture(meter, setup, args, console)
    # From here on the supply is off, whatever becomes of the file.
    if setup.supplies:
        _say(console, "supply: off")
    if args.output is not None:
        save(recording, args.output, args.format)
        _say(console, f"saved: {args.output}")
    if args.plot is not None:
        plot(recording, args.plot, [])
        _say(console, f"plot: {args.plot}")
    print_figures(recording, console)
    if interrupted:
        kept = "is saved" if args.output is not None else "was not to be saved"
        _say(console, f"interrupted: the capture was ended, what it had {kept}")
    return EXIT_INTERRUPTED if interrupted else EXIT_PASS


def _held(
    request: Request, timeout_s: float, console: PipeConsole
) -> contextlib.AbstractContextManager[None]:
    """Hold the board whose meter it is: nobody else uses what this may power."""
    if request.board is None:
        return contextlib.nullcontext()
    return board_lock(request.board, timeout_s, lambda line: _say(console, line))


def _capture(
    meter: PowerMeter, setup: MeterSetup, args: argparse.Namespace, console: PipeConsole
) -> tuple[Recording, bool]:
    """Return the recording and whether somebody ended it."""
    spool = Spool(meter.identity, meter.spec, setup)
    interrupted = False
    with live(console, meter.spec.sample_hz, args.duration) as show:
        long_enough = _Length(meter.spec.sample_hz, args.duration, show)
        running = Capture(meter, spool, long_enough)
        running.start(args.timeout)
        try:
            while not long_enough.reached.wait(_LOOK_S):
                running.check()
        except KeyboardInterrupt:
            interrupted = True
        recording = running.stop()
    return recording, interrupted


class _Length:
    """Says when the trace, by the meter's own clock, is as long as asked: maybe never."""

    def __init__(
        self, sample_hz: float, duration_s: float | None, show: Callable[[LiveFigures], None]
    ) -> None:
        self._samples = math.inf if duration_s is None else duration_s * sample_hz
        self._show = show
        self.reached = threading.Event()

    def __call__(self, figures: LiveFigures) -> None:
        self._show(figures)
        if figures.samples + figures.lost >= self._samples:
            self.reached.set()


def _about(identity: MeterIdentity, setup: MeterSetup) -> str:
    kind = ", EMULATED" if identity.emulated else ""
    number = f" {identity.serial_number}" if identity.serial_number else ""
    supply = (
        f"supplies the board with {setup.supply_v:g} V"
        if setup.supplies
        else f"powers nothing; the board's {setup.supply_v:g} V are as declared"
    )
    return f"{identity.model}{number} at {identity.address}{kind}: {supply}"


def _say(console: PipeConsole, line: str) -> None:
    """Print a line; what was captured is kept also when nobody reads any more."""
    with contextlib.suppress(BrokenPipeError):
        console.print(line, soft_wrap=True, highlight=False, markup=False)
