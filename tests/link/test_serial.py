"""The serial link over a PTY, which is what emulated boards have, and over a socket."""

import contextlib
import os
import pty
import select
import socket
import tty

import pytest

from hilbench.drivers.links.serial import DescriptorLink, PolledLink, open_link
from hilbench.errors import BoardBusyError, LinkError


@pytest.fixture
def line():
    master, slave = pty.openpty()
    tty.setraw(slave)
    yield master, os.ttyname(slave)
    for fd in (master, slave):
        with contextlib.suppress(OSError):
            os.close(fd)


def test_bytes_pass_both_ways_untranslated(line):
    master, path = line
    link = open_link(path, 2_000_000)
    assert isinstance(link, DescriptorLink)
    link.write(bytes(range(256)), 1.0)
    assert select.select([master], [], [], 1.0)[0]
    assert os.read(master, 1000) == bytes(range(256))
    os.write(master, bytes(range(256)))
    got = b""
    while len(got) < 256:
        got += link.read(1.0)
    assert got == bytes(range(256))
    assert link.read(0.0) == b""
    link.close()
    link.close()
    with pytest.raises(LinkError, match="is closed; open the link again"):
        link.read(0.0)


def test_a_write_keeps_what_arrives_so_that_no_side_blocks_the_other(line):
    master, path = line
    link = open_link(path, 115200)
    os.set_blocking(master, False)
    sent = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            sent += os.write(master, bytes(1024))
    with pytest.raises(LinkError) as caught:
        link.write(bytes(1 << 20), 0.05)  # nobody reads the other side
    assert str(caught.value).startswith(f"port {path} accepted ")
    assert str(caught.value).endswith(
        " of 1048576 bytes within 0.05 s; is the board running and flow control off?"
    )
    got = 0
    while data := link.read(0.1):
        got += len(data)
    assert got == sent
    link.close()


def test_an_unplugged_port_is_a_link_error(line):
    master, path = line
    link = open_link(path, 115200)
    os.close(master)
    with pytest.raises(LinkError, match=r"went away .*; is the cable plugged in and the board pow"):
        link.read(1.0)
    with pytest.raises(LinkError, match="went away"):
        link.write(b"x", 1.0)
    link.close()


def test_a_held_port_is_busy(line):
    _, path = line
    link = open_link(path, 115200)
    with pytest.raises(BoardBusyError) as caught:
        open_link(path, 115200)
    assert str(caught.value) == (
        f"port {path} is held by another process; close it (fuser -v {path} names it)"
    )
    link.close()
    open_link(path, 115200).close()


def test_a_missing_port_says_what_to_do():
    with pytest.raises(LinkError) as caught:
        open_link("/dev/ttyNOWHERE", 115200)
    assert str(caught.value) == (
        "port /dev/ttyNOWHERE does not exist; plug the board in or correct 'serial' in boards.toml"
    )


def test_an_unknown_url_says_what_to_do():
    with pytest.raises(LinkError, match=r"port nix://x cannot be opened: .*; correct 'serial' in"):
        open_link("nix://x", 115200)


def test_urls_work_with_and_without_a_descriptor():
    with socket.create_server(("127.0.0.1", 0)) as server:
        link = open_link(f"socket://127.0.0.1:{server.getsockname()[1]}", 115200)
        peer, _ = server.accept()
        with peer:
            link.write(b"ping", 1.0)
            assert peer.recv(10) == b"ping"
            peer.sendall(b"pong")
            assert link.read(1.0) == b"pong"
        with pytest.raises(LinkError, match="went away"):
            link.read(1.0)
        link.close()
    loop = open_link("loop://", 115200)
    assert isinstance(loop, PolledLink)
    loop.write(b"abc", 1.0)
    assert loop.read(1.0) + loop.read(0.0) == b"abc"
    assert loop.read(0.0) == b""
    loop.close()
    loop.close()
