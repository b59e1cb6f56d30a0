"""``hilbench bench-up``: the virtual bench for a person, until Ctrl-C.

Whole emulated boards behind their real way in (a bootloader, a debug probe), and bootloaders of chips
that are not emulated, which keep what is written to them.
"""

from __future__ import annotations

import argparse
import contextlib
import shlex
import sys
import tempfile
import threading
from pathlib import Path

HELP = "bring up the virtual bench, to try flashing tools without hardware"
EXAMPLES = """\
  hilbench bench-up                          until Ctrl-C
  hilbench bench-up --fault "bit flip"       the bootloaders store one bit wrongly
  hilbench bench-up --fault list             the faults there are"""

_IMAGE = bytes(range(256)) * 16  # anything that is not erased flash
_APP_OFFSET = "0x10000"
_COMMANDS = {  # by class of double
    "ArduinoBootloader": "avrdude -c arduino -p atmega328p -P {port} -D -U flash:w:{image}:r",
    "Stm32Bootloader": "stm32flash -m 8n1 -w {image} -v -g 0x08000000 {port}",
    "Esp32Rom": "{python} -m esptool --chip esp32 --port {port} --no-stub --before no-reset "
    f"--after no-reset write-flash {_APP_OFFSET} {{image}}",
}
_BOARDS = {  # by id in the boards that hilbench carries
    "uno": "avrdude -c arduino -p atmega328p -P {port} -b 115200 -D -U flash:w:{hex}:i",
    "microbit": "{python} -m pyocd flash --uid {probe} --target nrf51 {elf}",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the fault."""
    parser.add_argument(
        "--fault",
        default="none",
        metavar="FAULT",
        help="what goes wrong in the bootloaders (default: none; 'list' names them)",
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
        if args.fault == doubles.Fault.NONE:
            for board, command in _BOARDS.items():
                _bring_up(board, command, Path(folder), stack)
            print(
                "hilbench starts boards of its own, flashes them by the same tools and measures:\n"
                "hilbench run MODEL.tflite --vectors X.npz --board uno --board microbit\n"
            )
        print("Ctrl-C ends it.", flush=True)
        threading.Event().wait()
    return 0


def _bring_up(board_id: str, command: str, folder: Path, stack: contextlib.ExitStack) -> None:
    """Start a whole emulated board with erased flash; says why where it cannot."""
    from hilbench import plugins  # noqa: PLC0415
    from hilbench.board.images import find_image  # noqa: PLC0415
    from hilbench.config import load_boards  # noqa: PLC0415
    from hilbench.config.defaults import carried_boards_path  # noqa: PLC0415
    from hilbench.drivers.flashers._files import intel_hex, load_segments  # noqa: PLC0415
    from hilbench.errors import HilbenchError  # noqa: PLC0415

    board = load_boards(carried_boards_path())[board_id]
    try:
        image = find_image(board.firmware)
        emulated = plugins.load("emulators", str(board.emulator)).start(
            board, board.timeouts.start_s
        )
    except HilbenchError as error:
        print(f"not up: {board_id}: {error}\n")
        return
    stack.callback(emulated.stop)
    (hex_file := folder / f"{board_id}.hex").write_text(intel_hex(load_segments(board, image)))
    line = command.format(
        port=emulated.link_address,
        probe=emulated.probe_address,
        hex=shlex.quote(str(hex_file)),
        elf=shlex.quote(str(image.path)),
        python=sys.executable,
    )
    print(f"{board_id}: {emulated.emulator}, console {emulated.link_address}\n  {line}\n")
