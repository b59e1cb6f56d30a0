"""Does a board answer, fast enough, and does it know how long a second is?"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Protocol

from hilbench import plugins
from hilbench.board.access import resolve_port
from hilbench.board.client import BoardClient
from hilbench.board.life import OpenBoard, open_board
from hilbench.board.locks import board_lock
from hilbench.board.wear import ENDURANCE_CYCLES, read_wear
from hilbench.doctor.check import Check
from hilbench.errors import BoardSilentError, HilbenchError
from hilbench.protocol.messages import HelloReply, Region
from hilbench.records import BoardConfig, ClockInfo, Image

BAUDS = (9600, 19200, 38400, 57600, 115200, 230400, 460800, 500000, 921600, 1000000, 2000000)
GOODPUT_LIMIT = 0.85  # of baud / 10, the byte rate of an 8N1 line
CRYSTAL_PPM = 1_000  # ten times what a crystal may be off
# A port that only declares its rate may run from a ceramic resonator: within 5,000 ppm by its data
# sheet. An Uno's does, and its counter loses 1,251 ppm more by leaving out its own overflows.
RESONATOR_PPM = 5_000
BROKEN_PPM = 20_000  # more than any oscillator: counter_hz is wrong
_SWEEP_HELLO_S = 2.5
_SHORT_US, _LONG_US, _REPEATS = 20_000, 520_000, 3
_MOST_BYTES = 65_536
_LEAST_BYTES = 4_096
_GOODPUT_S = 1.0  # how long each direction takes at line rate


class Idles(Protocol):
    """What the clock check needs of a client."""

    def idle(self, duration_us: int, marker: bool = False) -> int:
        """Sleep; return ticks."""


class Moves(Protocol):
    """What the goodput check needs of a client."""

    def write(self, region: Region, offset: int, data: bytes) -> None:
        """Write."""

    def read(self, region: Region, offset: int, length: int) -> bytes:
        """Read."""


def examine_board(
    config: BoardConfig, image: Image, on_state: Callable[[str], None] = lambda _: None
) -> Iterator[Check]:
    """Lock, flash and try a board; yields each check as it is done.

    Args:
        config: the board's table.
        image: its firmware.
        on_state: told what is going on, for people.
    """
    try:
        with open_board(config, image, on_state, lambda _: None) as board:
            yield check_hello(board)
            if board.recoveries:
                step = "if it happens again, look at supply, cable and firmware"
                yield Check("recovery", "warn", board.recoveries[0], step)
            yield from _conversation(board)
    except HilbenchError as error:
        yield _failed("HELLO", error)
        if isinstance(error, BoardSilentError):
            yield from sweep(config)
        else:  # in quarantine, in other hands, another image: not a matter of the baud rate
            yield Check("baud sweep", "skipped", "for silent boards only")
    else:
        why = "an emulated line has no baud rate"
        if config.emulator is None:
            why = f"not needed: it answers at {config.baud} baud"
        yield Check("baud sweep", "skipped", why)
    yield check_wear(config)


def _conversation(board: OpenBoard) -> Iterator[Check]:
    checks: tuple[tuple[str, Callable[[], Check]], ...] = (
        ("echo", lambda: check_echo(board.client, board.hello.packet_bytes)),
        ("clock", lambda: check_clock(board.client, board.hello, board.clock)),
        ("goodput", lambda: check_goodput(board.client, board.hello, _line_baud(board))),
    )
    for name, check in checks:
        try:
            yield check()
        except HilbenchError as error:
            yield _failed(name, error)


def _line_baud(board: OpenBoard) -> int | None:
    return None if board.emulated is not None else board.config.baud


def _failed(name: str, error: HilbenchError) -> Check:
    fact, _, step = str(error).partition("; ")
    return Check(name, "failed", fact, step)


def check_hello(board: OpenBoard) -> Check:
    """Say who answered; a port that nobody has run on a board is a warning."""
    hello = board.hello
    fact = (
        f"{hello.port} on {hello.chip}, build {hello.build_id.hex()[:12]}, counter "
        f"{hello.counter_hz:,} Hz ({board.clock.source}, {hello.counter_bits} bits), "
        f"{hello.pool_bytes:,} bytes for models"
    )
    if not hello.port_untested:
        return Check("HELLO", "ok", fact)
    step = "if all checks pass, set .untested = false in the port"
    return Check("HELLO", "warn", f"{fact}; this port says that nobody has tested it", step)


def check_echo(client: BoardClient, packet_bytes: int) -> Check:
    """Send every byte value there and back, in short packets and in the longest.

    Raises:
        BoardError, LinkError: not all came back.
    """
    times_ms = []
    for length in (1, 32, 255, packet_bytes):
        data = bytes(i * 7 % 256 for i in range(min(length, packet_bytes)))
        begun_s = time.monotonic()
        client.echo(data)
        times_ms.append((time.monotonic() - begun_s) * 1e3)
    fact = f"{packet_bytes} bytes unchanged; round trip of 1 byte {times_ms[0]:.2f} ms"
    return Check("echo", "ok", fact)


def check_clock(
    client: Idles,
    hello: HelloReply,
    clock: ClockInfo,
    now: Callable[[], float] = time.monotonic,
) -> Check:
    """Compare the board's ticks with this computer's clock over 0.5 s of sleep, three times.

    What the line and the host's scheduler add is the same for a short and a long sleep and goes out
    of the difference; how much it varies is the uncertainty.

    Raises:
        BoardError, LinkError: no reply.
    """
    if clock.time_base not in {"host", "time"}:
        return _check_counter_runs(client, hello.counter_hz, clock.time_base)
    short = _slept(client, _SHORT_US, hello.counter_hz, now)
    long = _slept(client, _LONG_US, hello.counter_hz, now)
    short_board_s, short_host_s = min(short, key=lambda t: t[1] - t[0])
    long_board_s, long_host_s = min(long, key=lambda t: t[1] - t[0])
    host_s = long_host_s - short_host_s
    ppm = ((long_board_s - short_board_s) / host_s - 1) * 1e6
    extra_s = _spread_s(short) + _spread_s(long)
    spread_ppm = extra_s / host_s * 1e6
    fact = f"{ppm:+,.0f} ppm (±{spread_ppm:,.0f}) against this computer, source {clock.source}"
    beyond = abs(ppm) - spread_ppm
    if beyond > BROKEN_PPM:
        step = f"counter_hz = {hello.counter_hz:,} is wrong in the port, or a prescaler is set"
        return Check("clock", "failed", f"{fact}, limit {BROKEN_PPM:,}", step)
    if spread_ppm > BROKEN_PPM:
        return Check("clock", "skipped", f"{fact}: this computer is too busy to tell")
    what, limit_ppm = "a crystal", CRYSTAL_PPM
    if clock.source == "declared":
        what, limit_ppm = "a ceramic resonator", RESONATOR_PPM
    if beyond > limit_ppm:
        step = "an RC oscillator? use the crystal, or compare latencies of this board only"
        return Check("clock", "warn", f"{fact}, {what} is within {limit_ppm:,}", step)
    return Check("clock", "ok", fact)


def _check_counter_runs(client: Idles, counter_hz: int, time_base: str) -> Check:
    """All that can be said of ticks that are no time: a sleep is not shorter than was asked for."""
    ticks = client.idle(_SHORT_US)
    least = counter_hz * _SHORT_US // 1_000_000
    if ticks >= least:
        return Check("clock", "skipped", f"ticks are {time_base}, not a time")
    fact = f"{ticks:,} ticks in {_SHORT_US // 1000} ms of sleep, at least {least:,} are due"
    step = "does the counter run, and does hb_port_idle() sleep as long as it is told?"
    return Check("clock", "failed", fact, step)


def _slept(
    client: Idles, duration_us: int, counter_hz: int, now: Callable[[], float]
) -> list[tuple[float, float]]:
    """Return (seconds by the board, seconds by the host) of each repeat."""
    times = []
    for _ in range(_REPEATS):
        begun_s = now()
        ticks = client.idle(duration_us)
        times.append((ticks / counter_hz, now() - begun_s))
    return times


def _spread_s(times: list[tuple[float, float]]) -> float:
    """Return how much later than the quickest of them the host usually hears of a sleep's end."""
    late_s = [host_s - board_s for board_s, host_s in times]
    return statistics.median(late_s) - min(late_s)


def check_goodput(
    client: Moves,
    hello: HelloReply,
    baud: int | None,
    now: Callable[[], float] = time.monotonic,
) -> Check:
    """Write to the model memory and read it back, both timed.

    Args:
        client: a greeted board.
        hello: its HELLO.
        baud: of the line, None where there is none.
        now: seconds.

    Raises:
        BoardError, LinkError: it did not get through.
    """
    size = min(hello.pool_bytes, _MOST_BYTES if baud is None else int(baud / 10 * _GOODPUT_S))
    if size == 0:
        return Check("goodput", "skipped", "the board has no memory that the host may write")
    data = bytes((i * 31 + i // 256) % 256 for i in range(size))
    begun_s = now()
    client.write(Region.POOL, 0, data)
    there_s = now() - begun_s
    back = client.read(Region.POOL, 0, size)
    back_s = now() - begun_s - there_s
    if back != data:
        wrong = next(i for i, (a, b) in enumerate(zip(data, back, strict=False)) if a != b)
        step = "does the stack or a buffer overlap the pool?"
        return Check("goodput", "failed", f"byte {wrong} of {size:,} reads back changed", step)
    rates = (size / there_s, size / back_s)
    fact = f"{rates[0]:,.0f} bytes/s to the board, {rates[1]:,.0f} back"
    if baud is None or size < _LEAST_BYTES:  # of a few packets mostly the waiting is measured
        return Check("goodput", "ok", f"{fact}, {size:,} bytes each")
    share = min(rates) / (baud / 10)
    fact = f"{fact}: {share:.0%} of {baud} baud"
    if share < GOODPUT_LIMIT:
        step = "see the latency timer; a larger receive ring (HB_RING_BYTES) helps as well"
        return Check("goodput", "warn", f"{fact}, limit {GOODPUT_LIMIT:.0%}", step)
    return Check("goodput", "ok", fact)


def sweep(
    config: BoardConfig, answers: Callable[[BoardConfig, int], bool] | None = None
) -> Iterator[Check]:
    """Yield at which baud rates a silent real board answers after all; its lock is waited for 1 s.

    Args:
        config: the board's table.
        answers: whether HELLO comes at a rate. For tests.
    """
    if config.emulator is not None:
        yield Check("baud sweep", "skipped", "an emulated line has no baud rate")
        return
    try:
        with board_lock(config, 1.0, lambda _: None):
            found = [baud for baud in BAUDS if (answers or _answers)(config, baud)]
    except HilbenchError as error:
        yield _failed("baud sweep", error)
        return
    rates = ", ".join(map(str, found))
    if config.baud in found:
        fact = f"answers at {rates}, and {config.baud} is the baud rate of its table"
        step = "so the rate is right and it was silent for a while: supply, cable, or a slow boot?"
        yield Check("baud sweep", "warn", fact, step)
    elif found:
        step = f"set baud = {found[0]} in [board.{config.id}]"
        yield Check("baud sweep", "failed", f"answers at {rates}, not at {config.baud}", step)
    else:
        fact = f"no HELLO at any of {', '.join(map(str, BAUDS))}"
        yield Check("baud sweep", "failed", fact, "is the image flashed, are RX and TX swapped?")


def _answers(config: BoardConfig, baud: int) -> bool:
    """Say whether HELLO comes at a rate; raises what keeps the port from being opened."""
    assert config.serial is not None
    address = resolve_port(config.serial, config.id)
    hello_s = min(config.timeouts.hello_s, _SWEEP_HELLO_S)
    link = plugins.load("links", "serial").open_link(address, baud)
    try:
        limits = replace(config.timeouts, hello_s=hello_s)
        BoardClient(link, config.id, limits, baud=baud).hello()
    except HilbenchError:
        return False
    finally:
        link.close()
    return True


def check_wear(config: BoardConfig) -> Check:
    """Say how often the board was flashed from here."""
    if config.emulator is not None:
        return Check("flash wear", "skipped", "an emulated flash does not wear out")
    try:
        wear = read_wear(config)
    except HilbenchError as error:
        return _failed("flash wear", error)
    if wear is None:
        return Check("flash wear", "ok", "never flashed from here")
    fact = f"flashed {wear.flashes:,} times since {wear.since}"
    if wear.flashes * 2 < ENDURANCE_CYCLES:
        return Check("flash wear", "ok", fact)
    return Check(
        "flash wear",
        "warn",
        f"{fact}; data sheets promise {ENDURANCE_CYCLES:,} cycles",
        "load models over the link instead of flashing them, or plan for another board",
    )
