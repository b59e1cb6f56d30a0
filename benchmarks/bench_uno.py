"""How close the link of an Arduino Uno comes to its line: 115,200 baud, 2 KB of RAM, no flow control.

The real firmware on the emulated chip (simavr) in real time. Goodput is data bytes / (time * baud /
10), writing to and reading from the board's memory, a few packets in flight. The time is the chip's
own: where the host could not keep up, emulated time is late (late_us), not slow. Best possible: a
packet of 187 data bytes takes 208 on the wire (90 %). The board sends at 117,647 baud, as every Uno.

    python benchmarks/bench_uno.py
"""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from hilbench import plugins
from hilbench.board.client import BoardClient
from hilbench.board.images import find_image
from hilbench.errors import EXIT_PASS, EXIT_REGRESSION, HilbenchError
from hilbench.protocol.jobs import DATA_HEADER_BYTES, Job, ReadJob, WriteJob
from hilbench.protocol.messages import Region
from hilbench.records import BoardConfig, Timeouts

ROOT = Path(__file__).parents[1]
BAUD = 115_200
CLOCK_HZ = 16_000_000
BITS_PER_BYTE = 10
PACKETS = 150  # about 2.5 s
IN_FLIGHT = 4
GOAL = 0.85
RESULT = ROOT / "results" / "bench" / "uno.json"


def chip_seconds(board: Any, client: BoardClient, jobs: list[Job]) -> float:
    """Carry the jobs out one behind the other, a few in flight."""
    talk = client._session()  # noqa: SLF001 - the client's own calls wait for each answer
    begun = board.status().cycles
    for job, earlier in zip(jobs, [None] * IN_FLIGHT + jobs, strict=False):
        if earlier is not None:
            talk.drive(earlier, lambda earlier=earlier: earlier.done)
        talk.transfer.submit(job)
    talk.drive(jobs[-1], lambda: all(job.done for job in jobs))
    return float((board.status().cycles - begun) / CLOCK_HZ)


def measure() -> dict[str, object]:
    """Return goodput both ways and what went wrong on the way."""
    config = BoardConfig("uno", "atmega328p", emulator="simavr")
    board = plugins.load("emulators", "simavr").start(config, 60.0)
    try:
        board.flash(find_image("atmega328p"))
        link = plugins.load("links", "serial").open_link(board.link_address, BAUD)
        client = BoardClient(link, "uno", Timeouts(), baud=BAUD)
        hello = client.hello()
        before = board.status()
        length = min(hello.packet_bytes - DATA_HEADER_BYTES, hello.pool_bytes)
        data = np.random.default_rng(1).integers(0, 256, length, np.uint8).tobytes()
        line_bytes_per_s = BAUD / BITS_PER_BYTE
        writes: list[Job] = [WriteJob(Region.POOL, 0, data) for _ in range(PACKETS)]
        to_board = PACKETS * length / chip_seconds(board, client, writes) / line_bytes_per_s
        reads = [ReadJob(Region.POOL, 0, length) for _ in range(PACKETS)]
        to_host = PACKETS * length / chip_seconds(board, client, [*reads]) / line_bytes_per_s
        if any(bytes(job.buffer) != data for job in reads):
            sys.exit("bench-uno: the board returned other bytes; the measurement is void")
        after, figures = board.status(), client.link_figures()
        client.close()
    finally:
        board.stop()
    return {
        "emulator": board.emulator,
        "baud": BAUD,
        "packet_data_bytes": length,
        "window_bytes": hello.window_bytes,
        "to_board": to_board,
        "to_host": to_host,
        "retransmitted_packets": figures.retransmitted_packets,
        "late_us": after.late_us - before.late_us,
        "overruns": after.overruns - before.overruns,
    }


def main() -> int:
    console = Console()
    try:
        result = measure()
        image = find_image("atmega328p")
    except HilbenchError as error:
        print(f"bench-uno: {error}", file=sys.stderr)
        return error.exit_code
    table = Table(title=f"Goodput of the emulated Uno, % of {BAUD:,} baud / 10")
    for column in ("to board", "to host", "goal", "sent again", "overruns"):
        table.add_column(column, justify="right")
    table.add_row(
        f"{result['to_board']:.1%}",
        f"{result['to_host']:.1%}",
        f"{GOAL:.0%}",
        str(result["retransmitted_packets"]),
        str(result["overruns"]),
    )
    console.print(table)
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "benchmark": "uno",
        "host": platform.platform(),
        "python": platform.python_version(),
        "image_sha256": image.sha256,
        **result,
        "goals": {"goodput": GOAL},
    }
    RESULT.write_text(json.dumps(document, indent=2) + "\n")
    console.print(f"written to {RESULT.relative_to(ROOT)}")
    worst = min(result["to_board"], result["to_host"])
    return EXIT_PASS if worst >= GOAL else EXIT_REGRESSION


if __name__ == "__main__":
    sys.exit(main())
