"""``hilbench build``: one firmware image, with the built-in runtime or TensorFlow Lite Micro."""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

HELP = "build a firmware image, with another runtime too"
EXAMPLES = """\
  hilbench build --port mps2-an386
  hilbench build --port mps2-an386 --runtime tflm \\
      --tflm-lib libtensorflow-microlite.a --tflm-include tflm-tree   docs/runtimes.md makes both"""
_HEADER = Path("tensorflow/lite/micro/micro_interpreter.h")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare port, runtime, and where a library is."""
    parser.add_argument("--port", required=True, help="a folder of device_firmware/ports")
    parser.add_argument(
        "--runtime",
        default="plan",
        help="a folder of device_firmware/runtimes (default: plan, the built-in one)",
    )
    parser.add_argument(
        "--tflm-lib", type=Path, metavar="PATH", help="TensorFlow Lite Micro's static library"
    )
    parser.add_argument(
        "--tflm-include",
        type=Path,
        metavar="PATH",
        help="folder with tensorflow/lite/micro and the headers that it needs",
    )
    parser.add_argument(
        "settings",
        nargs="*",
        metavar="NAME=VALUE",
        help="variables of the port's makefile, e.g. RAM_BYTES=0x400000",
    )


def run(args: argparse.Namespace) -> int:
    """Build and say where the image is and what boards.toml calls it."""
    from hilbench.board.images import find_image  # noqa: PLC0415
    from hilbench.board.sources import FIRMWARE  # noqa: PLC0415

    name = firmware_name(args.port, args.runtime, FIRMWARE)
    variables = [*library(args.runtime, args.tflm_lib, args.tflm_include), *args.settings]
    build(args.port, args.runtime, variables, FIRMWARE)
    image = find_image(name)
    print(f'{image.path}\nbuild id {image.build_id[:12]}; in boards.toml: firmware = "{name}"')
    return 0


def firmware_name(port: str, runtime: str, firmware: Path) -> str:
    """Return what boards.toml calls a port with a runtime.

    Raises:
        UsageError: no checkout, no such port, or no such runtime.
    """
    from hilbench.errors import UsageError  # noqa: PLC0415

    if not (firmware / "ports").is_dir():
        raise UsageError(
            "there are no firmware sources beside this package; images are built in a checkout"
        )
    for what, value, folder in (
        ("port", port, firmware / "ports"),
        ("runtime", runtime, firmware / "runtimes"),
    ):
        known = sorted(p.name for p in folder.iterdir() if p.is_dir() and p.name[0] not in "_.")
        if what == "port":
            known = [p for p in known if (folder / p / "port.mk").is_file()]
        if value not in known:
            raise UsageError(f"there is no {what} {value!r}; known: {', '.join(known)}")
    return port if runtime == "plan" else f"{port}-{runtime}"


def library(runtime: str, lib: Path | None, include: Path | None) -> list[str]:
    """Return make variables that say where TensorFlow Lite Micro is.

    Raises:
        UsageError: runtime tflm without its library, or a library without runtime tflm.
    """
    from hilbench.errors import UsageError  # noqa: PLC0415

    if runtime != "tflm":
        if lib is not None or include is not None:
            raise UsageError(
                f"--tflm-lib and --tflm-include belong to --runtime tflm, not to {runtime!r}"
            )
        return []
    how = "docs/runtimes.md says how to make it"
    if lib is None:
        raise UsageError(
            f"runtime tflm is linked with a library of yours: name it with --tflm-lib; {how}"
        )
    if not lib.is_file():
        raise UsageError(f"--tflm-lib {lib} is not a file; {how}")
    if include is None:
        raise UsageError(
            f"runtime tflm needs the library's headers: name them with --tflm-include; {how}"
        )
    if not (include / _HEADER).is_file():
        raise UsageError(f"--tflm-include {include} has no {_HEADER}; {how}")
    return [f"TFLM_LIB={lib.resolve()}", f"TFLM_INCLUDE={include.resolve()}"]


def build(port: str, runtime: str, variables: list[str], firmware: Path) -> None:
    """Run the firmware's makefile.

    Raises:
        ToolMissingError: there is no make.
        ImageError: it failed; says its first error.
    """
    from hilbench.errors import ImageError, ToolMissingError  # noqa: PLC0415

    command = ["make", "-C", str(firmware), f"PORT={port}", f"RUNTIME={runtime}", *variables]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise ToolMissingError("make is not installed; apt-get install make") from None
    if done.returncode:
        lines = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        telling = [s for s in lines if "error:" in s or "undefined reference" in s or "***" in s]
        raise ImageError(
            f"the image of port {port} with runtime {runtime} cannot be built "
            f"({(telling or lines or ['make said nothing'])[0]}); see all of it with: "
            f"{' '.join(command)}"
        )
