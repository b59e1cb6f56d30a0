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
    """Adds device_firmware/build/*/hilbench.elf to a standard (not editable) wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the images and the platform tag."""
        if version == "editable":
            return
        built = sorted((Path(self.root) / "device_firmware" / "build").glob("*/image.json"))
        ports = {path.parent.name for path in built}
        wanted = {
            path.parent.name
            for path in (Path(self.root) / "device_firmware" / "ports").glob("*/port.mk")
        }
        if missing := wanted - ports:
            raise SystemExit(
                f"no image of {', '.join(sorted(missing))} in device_firmware/build; "
                "a wheel carries every port: run make firmware first"
            )
        for path in built:
            port = path.parent.name
            build_data["force_include"][str(path)] = f"hilbench/images/{port}.json"
            build_data["force_include"][str(path.parent / "hilbench.elf")] = (
                f"hilbench/images/{port}.elf"
            )
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"
        build_data["pure_python"] = False
