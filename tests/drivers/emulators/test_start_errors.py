"""What start() says when it cannot."""

from __future__ import annotations

import shutil

import pytest

from hilbench.drivers.emulators import native, qemu
from hilbench.errors import BoardError, ConfigError, ToolMissingError
from hilbench.records import BoardConfig

M4 = BoardConfig(id="m4", firmware="mps2-an386")


def test_qemu_missing(monkeypatch):
    monkeypatch.setattr(
        shutil, "which", lambda name: None if name == qemu.PROGRAM else f"/usr/bin/{name}"
    )
    with pytest.raises(ToolMissingError) as caught:
        qemu.start(M4, 1.0)
    assert str(caught.value) == (
        "qemu-system-arm is not installed and emulated ARM boards need it; "
        "install it with: apt-get install qemu-system-arm"
    )


def test_setpriv_missing(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ToolMissingError, match=r"setpriv is not .*: apt-get install util-linux$"):
        native.start(BoardConfig(id="native", firmware="posix"), 1.0)


def test_unknown_argument_qemu(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    config = BoardConfig(id="m4", firmware="x", emulator_args=(("machin", "mps2-an386"),))
    with pytest.raises(ConfigError, match=r"board m4: .* no argument 'machin'; known: machine"):
        qemu.start(config, 1.0)


def test_unknown_argument_native():
    config = BoardConfig(id="n", firmware="posix", emulator_args=(("machine", "x"),))
    with pytest.raises(
        ConfigError, match="native emulator has no argument 'machine'; known: pool_"
    ):
        native.start(config, 1.0)


def test_pool_bytes_is_a_number():
    config = BoardConfig(id="n", firmware="posix", emulator_args=(("pool_bytes", "64k"),))
    with pytest.raises(
        ConfigError, match=r"^board n: pool_bytes = '64k' is not a number of bytes$"
    ):
        native.start(config, 1.0)


@pytest.mark.qemu
@pytest.mark.skipif(shutil.which(qemu.PROGRAM) is None, reason="qemu-system-arm is not installed")
def test_unknown_machine():
    config = BoardConfig(id="m4", firmware="x", emulator_args=(("machine", "mps9"),))
    with pytest.raises(
        BoardError, match=r"board m4: .*has died \(exit status 1\), .*unsupported machine type"
    ):
        qemu.start(config, 20.0)
