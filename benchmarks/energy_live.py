"""What reading a PPK2 live costs, and whether all of it arrives: 100 kS/s for 30 s.

The product's driver on the emulated instrument, which is a process of its own. CPU is that of the
reading process alone: receiving, accounting for losses, decoding. Lost is told twice: by the driver,
which has a counter of six bits and a clock, and by the emulated meter, which knows.

    python benchmarks/energy_live.py [SECONDS]
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from hilbench import plugins
from hilbench.power import MeterSetup
from hilbench.records import BoardConfig, CurrentModel, MeterConfig

SAMPLE_HZ = 100_000
SECONDS = 30.0
LOST_GOAL = 0
CPU_GOAL = 0.05
MODEL = CurrentModel(idle_ma=0.02, active_ma=12.0, tail_us=50.0, noise_ma=0.002)
WINDOWS = ("--square-ms", "20", "5")  # 100 range switches a second


def cpu_s(pid: int) -> float:
    """Return the processor time of another process, proc(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(seconds: float = SECONDS) -> dict[str, object]:
    """Capture for a while; return figures and whether they meet the goals."""
    board = BoardConfig(
        "ppk2", "posix", meter=MeterConfig("ppk2", marker="D0"), supply_v=3.0, current=MODEL
    )
    emulated = plugins.load("emulated_meters", "ppk2").start(board, None, 30.0, WINDOWS)
    try:
        meter = plugins.load("power", "ppk2").open_meter(board.meter, emulated.address, 30.0)
        try:
            meter.configure(MeterSetup(supply_v=3.0, supplies=True))
            meter.set_supply(on=True)
            meter.start()
            begun_s, begun_cpu_s = time.monotonic(), time.process_time()
            begun_emulator_s = cpu_s(emulated.pid)
            samples, charge_c = 0, 0.0
            while samples < seconds * SAMPLE_HZ:
                if chunk := meter.read(1.0):
                    samples += len(chunk)
                    charge_c += float(np.nansum(chunk.current_a)) / SAMPLE_HZ
            lasted_s = time.monotonic() - begun_s
            cpu = (time.process_time() - begun_cpu_s) / lasted_s
            emulator_cpu = (cpu_s(emulated.pid) - begun_emulator_s) / lasted_s
            _, end = meter.stop()
        finally:
            meter.close()
        log = emulated.log()
    finally:
        emulated.stop()
    lost = sum(loss.samples for loss in log.losses)
    return {
        "seconds": seconds,
        "samples": samples,
        "lost_by_driver": end.lost,
        "lost_uncertain": end.uncertain,
        "lost_by_emulator": lost,
        "mean_ma": charge_c / samples * SAMPLE_HZ * 1e3,
        "cpu_share": cpu,
        "emulator_cpu_share": emulator_cpu,
        "notes": end.notes,
        "lost_goal": LOST_GOAL,
        "cpu_goal": CPU_GOAL,
        "met": end.lost <= LOST_GOAL and lost <= LOST_GOAL and cpu <= CPU_GOAL,
    }


if __name__ == "__main__":
    figures = measure(*map(float, sys.argv[1:2]))
    print(json.dumps(figures, indent=2))
    sys.exit(not figures["met"])
