"""Wheel build hook: carry every built firmware image as hilbench/images/<port>.{elf,json}.

The images make the wheel specific to Linux on this machine's architecture, because the native
board is a Linux program; the ARM images inside are the same everywhere.
"""

from __future__ import annotations

import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ImagesHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds device_firmware/build/<port>/hilbench.elf to a standard (not editable) wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the images and the platform tag."""
        if version == "editable":
            return
        firmware = Path(self.root) / "device_firmware"
        wanted = sorted(path.parent.name for path in (firmware / "ports").glob("*/port.mk"))
        # Images with another runtime hold a library of the user's: they stay where they are.
        built = {port: firmware / "build" / port / "image.json" for port in wanted}
        if missing := [port for port, path in built.items() if not path.is_file()]:
            raise SystemExit(
                f"no image of {', '.join(missing)} in device_firmware/build; "
                "a wheel carries every port: run make firmware first"
            )
        for port, path in built.items():
            build_data["force_include"][str(path)] = f"hilbench/images/{port}.json"
            build_data["force_include"][str(path.parent / "hilbench.elf")] = (
                f"hilbench/images/{port}.elf"
            )
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"
        build_data["pure_python"] = False
