"""How close the link comes to its line, and what the harness adds to a run.

The native board (the firmware's posix port, a process behind a PTY) through ``PacedLink`` in real
time. Two tables:

- goodput: vector bytes / (wall time * baud / 10), writing vectors to and reading them from the
  board's memory. Best possible is packet overhead: 19 bytes and 1/254 of every packet.
- overhead of a run of 1000 vectors of the zoo's int8 MLP: wall / (device time + wire time).
  Device time is the board's own count: timed inferences, restores, cold and warm-up inferences
  (the latter at the mean of the timed ones). Wire time is bytes sent / (baud / 10) plus bytes
  received / (baud / 10) plus twice the USB latency: inputs cannot overlap the outputs that are
  computed from them, and a request and its answer each cross the adapter at least once. Only the
  ACKs of DATA do overlap, so they are left out. The session is open and the model loaded before
  the clock starts.

    python benchmarks/bench_link.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from hilbench.board.client import BoardClient
from hilbench.board.images import find_image
from hilbench.errors import EXIT_PASS, EXIT_REGRESSION, HilbenchError
from hilbench.models.planner import plan_model
from hilbench.models.tflite_file import read_model
from hilbench.protocol.jobs import DATA_HEADER_BYTES
from hilbench.protocol.messages import Region
from hilbench.protocol.packets import encoded_bytes
from hilbench.records import RunResult, Timeouts
from hilbench.testing.native import native_board, open_native_link
from hilbench.testing.paced import BITS_PER_BYTE, PacedLink

ROOT = Path(__file__).parents[1]
BAUDS = (115_200, 921_600, 2_000_000)
LATENCIES_S = (0.001, 0.016)
VECTOR_BYTES = (490, 27_648)  # keyword spotting, visual wake words
GOODPUT_GOAL = 0.97  # for 27,648-byte vectors
OVERHEAD_GOAL = 1.02
CELL_S = 3.0
VECTORS = 1000
ITERATIONS = 10
REPEATS = 3
MODEL = ROOT / "hilbench" / "zoo" / "digits" / "mlp_int8.tflite"
RESULT = ROOT / "results" / "bench" / "link.json"


def goodput(client: BoardClient, baud: int, vector_bytes: int) -> tuple[float, float]:
    """Return the goodput to the board and back as shares of baud / 10."""
    bytes_per_s = baud / BITS_PER_BYTE
    vectors = max(1, round(bytes_per_s * CELL_S / vector_bytes))
    data = np.random.default_rng(1).integers(0, 256, vectors * vector_bytes, np.uint8).tobytes()
    begun_s = time.perf_counter()
    client.write(Region.POOL, 0, data)
    written_s = time.perf_counter()
    back = client.read(Region.POOL, 0, len(data))
    read_s = time.perf_counter()
    if back != data:
        sys.exit("bench-link: the board returned other bytes; the measurement is void")
    return (
        len(data) / (written_s - begun_s) / bytes_per_s,
        len(data) / (read_s - written_s) / bytes_per_s,
    )


def device_s(result: RunResult, warm_up: int, counter_hz: int) -> float:
    """Return what the device says it computed."""
    ticks = result.ticks_sum + result.restore_ticks_sum + (result.cold_ticks or 0)
    ticks += warm_up * result.ticks_sum // result.inferences
    return ticks / counter_hz


def overhead(baud: int, latency_s: float) -> dict[str, float]:
    """Return the parts of a run's wall time, the median of REPEATS runs."""
    plan = plan_model(read_model(MODEL))
    runs = []
    with native_board() as board:
        link = PacedLink(open_native_link(board, baud), baud, latency_s)
        client = BoardClient(link, "native", Timeouts(), baud=baud)
        hello = client.hello()
        loaded = client.load(plan.data, bytes.fromhex(plan.sha256))
        rows = np.random.default_rng(2).integers(0, 256, (VECTORS, loaded.input_bytes), np.uint8)
        for _ in range(REPEATS):
            sent, received = link.bytes_to_board, link.bytes_to_host
            begun_s = time.perf_counter()
            result = client.run(rows, warm_up=1, iterations=ITERATIONS)
            wall_s = time.perf_counter() - begun_s
            data_packets = -(-rows.size // (hello.packet_bytes - DATA_HEADER_BYTES))
            acks = data_packets * encoded_bytes(0)
            moved = link.bytes_to_board - sent + link.bytes_to_host - received - acks
            wire_s = moved * BITS_PER_BYTE / baud + 2 * latency_s
            computed_s = device_s(result, 1, hello.counter_hz)
            runs.append((wall_s / (computed_s + wire_s), wall_s, computed_s, wire_s))
    ratio, wall_s, computed_s, wire_s = sorted(runs)[REPEATS // 2]
    return {"ratio": ratio, "wall_s": wall_s, "device_s": computed_s, "wire_s": wire_s}


def goodput_cells(quick: bool, console: Console) -> list[dict[str, float]]:
    bauds = BAUDS[-1:] if quick else BAUDS
    cells = []
    with native_board() as board:
        for baud in bauds:
            for latency_s in LATENCIES_S:
                link = open_native_link(board, baud)
                client = BoardClient(
                    PacedLink(link, baud, latency_s), "native", Timeouts(), baud=baud
                )
                client.hello()
                for vector_bytes in VECTOR_BYTES:
                    to_board, to_host = goodput(client, baud, vector_bytes)
                    cells.append(
                        {
                            "baud": baud,
                            "usb_latency_s": latency_s,
                            "vector_bytes": vector_bytes,
                            "to_board": to_board,
                            "to_host": to_host,
                            "retransmitted_packets": client.link_figures().retransmitted_packets,
                        }
                    )
                    console.print(f"[dim]{cells[-1]}[/dim]", highlight=False)
                client.close()
    return cells


def table(cells: list[dict[str, float]], runs: list[dict[str, float]]) -> list[Table]:
    speed = Table(title="Goodput, % of baud/10")
    for column in ("baud", "USB latency", "vector", "to board", "to host", "sent again"):
        speed.add_column(column, justify="right")
    for c in cells:
        speed.add_row(
            f"{c['baud']:,}",
            f"{c['usb_latency_s'] * 1e3:.0f} ms",
            f"{c['vector_bytes']:,} B",
            f"{c['to_board']:.1%}",
            f"{c['to_host']:.1%}",
            str(c["retransmitted_packets"]),
        )
    cost = Table(title=f"Overhead of a run: {VECTORS} vectors x {ITERATIONS} iterations, mlp/int8")
    for column in ("baud", "USB latency", "wall", "device", "wire", "wall / (device + wire)"):
        cost.add_column(column, justify="right")
    for r in runs:
        cost.add_row(
            f"{r['baud']:,}",
            f"{r['usb_latency_s'] * 1e3:.0f} ms",
            f"{r['wall_s']:.4f} s",
            f"{r['device_s']:.4f} s",
            f"{r['wire_s']:.4f} s",
            f"{r['ratio']:.4f}",
        )
    return [speed, cost]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="2,000,000 baud only")
    quick = parser.parse_args().quick
    console = Console()
    try:
        cells = goodput_cells(quick, console)
        runs = [
            {"baud": baud, "usb_latency_s": latency_s, **overhead(baud, latency_s)}
            for baud in (BAUDS[-1:] if quick else BAUDS)
            for latency_s in LATENCIES_S
        ]
    except HilbenchError as error:
        print(f"bench-link: {error}", file=sys.stderr)
        return error.exit_code
    for each in table(cells, runs):
        console.print(each)
    large = [c for c in cells if c["vector_bytes"] == max(VECTOR_BYTES)]
    worst = min(min(c["to_board"], c["to_host"]) for c in large)
    dearest = max(r["ratio"] for r in runs)
    console.print(
        f"27,648-byte vectors: at least {worst:.1%} (goal {GOODPUT_GOAL:.0%}); "
        f"overhead at most {dearest:.4f} (goal {OVERHEAD_GOAL})"
    )
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "benchmark": "link",
        "host": platform.platform(),
        "python": platform.python_version(),
        "image_sha256": find_image("posix").sha256,
        "quick": quick,
        "goodput": cells,
        "overhead": runs,
        "goals": {"goodput": GOODPUT_GOAL, "overhead": OVERHEAD_GOAL},
    }
    RESULT.write_text(json.dumps(document, indent=2) + "\n")
    console.print(f"written to {RESULT.relative_to(ROOT)}")
    return EXIT_PASS if worst >= GOODPUT_GOAL and dearest <= OVERHEAD_GOAL else EXIT_REGRESSION


if __name__ == "__main__":
    sys.exit(main())
