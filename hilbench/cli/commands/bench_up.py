"""``hilbench bench-up``: bootloaders on PTYs for a person, until Ctrl-C."""

from __future__ import annotations

import argparse
import contextlib
import shlex
import sys
import tempfile
import threading
from pathlib import Path

HELP = "bring up bootloaders on PTYs, to try flashing tools without hardware"
EXAMPLES = """\
  hilbench bench-up                          until Ctrl-C
  hilbench bench-up --fault "bit flip"       every board stores one bit wrongly
  hilbench bench-up --fault list             the faults there are"""

_IMAGE = bytes(range(256)) * 16  # anything that is not erased flash
_APP_OFFSET = "0x10000"
_COMMANDS = {  # by class of double
    "ArduinoBootloader": "avrdude -c arduino -p atmega328p -P {port} -D -U flash:w:{image}:r",
    "Stm32Bootloader": "stm32flash -m 8n1 -w {image} -v -g 0x08000000 {port}",
    "Esp32Rom": "{python} -m esptool --chip esp32 --port {port} --no-stub --before no-reset "
    f"--after no-reset write-flash {_APP_OFFSET} {{image}}",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the fault."""
    parser.add_argument(
        "--fault",
        default="none",
        metavar="FAULT",
        help="what goes wrong on every board (default: none; 'list' names them)",
    )


def run(args: argparse.Namespace) -> int:
    """Start the doubles, print their ports and a command for each, wait for Ctrl-C."""
    from hilbench.errors import UsageError  # noqa: PLC0415
    from hilbench.testing import doubles  # noqa: PLC0415

    faults = [str(fault) for fault in doubles.Fault]
    if args.fault == "list":
        print("\n".join(faults))
        return 0
    if args.fault not in faults:
        raise UsageError(f"no fault {args.fault!r}; there are: {', '.join(faults)}")
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="hilbench-bench-"))
        (image := Path(folder) / "image.bin").write_bytes(_IMAGE)
        for name, command in _COMMANDS.items():
            double = getattr(doubles, name)(doubles.Fault(args.fault))
            stack.callback(double.close)
            what = str(double.__doc__).split(" that ")[0]
            line = command.format(
                port=double.address, image=shlex.quote(str(image)), python=sys.executable
            )
            print(f"{what}\n  {line}\n")
        print("Ctrl-C ends it.", flush=True)
        threading.Event().wait()
    return 0
