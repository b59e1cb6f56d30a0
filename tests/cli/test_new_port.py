"""The template for a port, and docs/your-board.md followed to the letter."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time

import pytest

from hilbench.board.images import find_image
from hilbench.board.sources import FIRMWARE
from hilbench.cli import main
from hilbench.cli.commands.new_port import create_port, fill
from hilbench.doctor.board import examine_board
from hilbench.errors import UsageError
from hilbench.records import BoardConfig, Timeouts

ROOT = FIRMWARE.parent
DOC = (ROOT / "docs" / "your-board.md").read_text()
SHARED_ON_CORTEX_M = {
    "hb_port_build_id", "hb_port_uart_read", "hb_port_uart_overruns", "hb_port_uart_wait",
    "hb_port_quiet", "hb_port_idle", "hb_port_pool", "hb_port_stack", "hb_port_reset",
}  # fmt: skip


@pytest.fixture
def firmware(tmp_path):
    """A checkout's firmware without what was built."""
    (tmp_path / "hilbench/board").mkdir(parents=True)
    shutil.copy(ROOT / "hilbench/board/sources.py", tmp_path / "hilbench/board/sources.py")
    ignore = shutil.ignore_patterns("build", "tests")
    return shutil.copytree(FIRMWARE, tmp_path / "device_firmware", ignore=ignore)


def declared():
    """The functions of hb_port.h that a port writes; resident plans have a shared default."""
    header = (FIRMWARE / "include/hb_port.h").read_text()
    return set(re.findall(r"\b(hb_port_\w+)\(", header)) - {"hb_port_resident"}


def to_write(source):
    """The functions that are an #error, and those that their #error names."""
    pairs = re.findall(r'\b(hb_\w+)\([^)]*\) \{\n#error "(\w+): ', source)
    assert all(function == named for function, named in pairs)
    return {function for function, _ in pairs}


@pytest.mark.parametrize(
    ("like", "files", "functions"),
    [
        ("posix", {"port.mk", "port.c", "hb_port_config.h"}, declared()),
        (
            "mps2-an386",
            {"port.mk", "port.c", "hb_port_config.h"},
            declared() - SHARED_ON_CORTEX_M | {"hb_cortex_m_irq"},
        ),
        (
            "nrf51",
            {"port.mk", "port.c", "idle.c", "hb_port_config.h"},
            declared() - SHARED_ON_CORTEX_M | {"hb_cortex_m_irq", "hb_port_idle"},
        ),
        (
            "riscv-vexriscv",
            {"port.mk", "port.c", "hb_port_config.h", "startup.c", "image.ld"},
            declared(),
        ),
    ],
)
def test_every_function_of_hb_port_h_is_asked_for(firmware, like, files, functions):
    written = create_port("my-board", like, firmware)
    assert {p.name for p in written} == files
    source = "".join(p.read_text() for p in written if p.suffix == ".c")
    assert to_write(source) == functions
    for path in written:
        assert not re.search(r"@\w+", path.read_text()), path
    if like == "mps2-an386":
        assert len(functions) == 8  # as the document says
        assert "RAM_BYTES := 0x40000" in (firmware / "ports/my-board/port.mk").read_text()


@pytest.mark.parametrize(
    ("like", "own"),
    [
        ("mps2-an386", False),
        ("stm32f4", False),
        ("nrf51", True),
        ("nrf52840", True),
        ("rp2040", True),
    ],
)
def test_a_port_like_one_that_cannot_sleep_on_systick_gets_an_idle_of_its_own(firmware, like, own):
    files = {p.name: p.read_text() for p in create_port("my-board", like, firmware)}
    assert ("\nIDLE_SOURCE := ports/my-board/idle.c\n" in files["port.mk"]) == own
    assert ("idle.c" in files) == own
    if own:
        row = next(line for line in DOC.splitlines() if "cannot sleep on SysTick:" in line)
        assert f"`{like}`" in row


def test_the_documents_grep_lists_every_place_that_the_command_counts(
    firmware, monkeypatch, capsys
):
    monkeypatch.setattr("hilbench.cli.commands.new_port.FIRMWARE", firmware)
    main(["new-port", "my-board", "--like", "rp2040"])
    line = "    grep -n '#error' device_firmware/ports/my-board/*\n"
    assert line in DOC
    done = subprocess.run(
        line, shell=True, cwd=firmware.parent, capture_output=True, text=True, check=True
    )
    assert f"{len(done.stdout.splitlines())} places are marked #error" in capsys.readouterr().out


def test_the_document_has_what_the_config_asks_for(firmware):
    config = create_port("my-board", "stm32f4", firmware)[0].read_text()
    sizes = DOC[DOC.index("## Step 2") : DOC.index("## Steps 3 to 6")]
    for name in re.findall(r'#error "(\w+):', config):
        assert f"`{name}`" in sizes


@pytest.mark.parametrize("port", ["nrf51", "stm32f4"])
def test_the_sizes_that_the_document_gives_are_those_of_the_ports(port):
    row = next(line for line in DOC.splitlines() if re.match(rf"\| \d+ KB \(`{port}`\)", line))
    stated = [int(number) for number in re.findall(r"\d+", row.replace(port, ""))]
    config = (FIRMWARE / "ports" / port / "hb_port_config.h").read_text()
    makefile = (FIRMWARE / "ports" / port / "port.mk").read_text()
    memory = {
        name: int(re.search(rf"{name}_BYTES := (\S+)", makefile)[1], 0) for name in ("RAM", "STACK")
    }
    sizes = [
        int(re.search(rf"HB_{name} +(\d+)", config)[1])
        for name in ("PACKET_BYTES", "RING_BYTES", "TICKS_CAPACITY", "PROFILE_CAPACITY")
    ]
    assert stated[:-1] == [memory["RAM"] // 1024, memory["STACK"], *sizes]


def test_the_models_and_vectors_of_the_document_exist():
    paths = re.findall(r"hilbench/zoo/\S+?\.(?:tflite|npz|toml)", DOC)
    assert len(paths) == 3
    assert all((ROOT / path).exists() for path in paths)


def test_the_document_names_every_function():
    table = DOC[DOC.index("## Steps 3 to 6") : DOC.index("## Step 7")]
    for name in declared() | {"hb_cortex_m_irq"}:
        short = name.removeprefix("hb_port_uart")
        assert f"`{name}`" in table or f"`{short}`" in table, name
    marked = set(re.findall(r"● `(\w+)`", table))
    assert marked == declared() - SHARED_ON_CORTEX_M | {"hb_cortex_m_irq"}


def test_the_template_is_no_port():
    assert not (FIRMWARE / "ports/_template/port.mk").exists()


def test_what_is_written_is_formatted(firmware):
    if shutil.which("clang-format") is None:
        pytest.skip("no clang-format: apt-get install clang-format")
    shutil.copy(ROOT / ".clang-format", firmware / ".clang-format")
    files = []
    for name, like in (("a", "posix"), ("b", "rp2040"), ("c", "riscv-vexriscv")):
        files += [p for p in create_port(name, like, firmware) if p.suffix in {".c", ".h"}]
    for file in files:  # clang-format cannot read a function that is an #error
        file.write_text(re.sub(r"^#error.*", "    ;", file.read_text(), flags=re.MULTILINE))
    port = create_port("d", "posix", firmware)[1]
    port.write_text(follow(port.read_text()))  # the document's own code
    done = subprocess.run(
        [
            "clang-format",
            "--dry-run",
            "--Werror",
            port,
            *(f for f in files if f.stem in {"port", "idle"}),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.firmware
@pytest.mark.parametrize("like", ["posix", "mps2-an386"])
def test_an_unwritten_port_does_not_build_and_says_why(firmware, like):
    compiler = "gcc" if like == "posix" else "arm-none-eabi-gcc"
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler}: apt-get install gcc gcc-arm-none-eabi")
    create_port("my-board", like, firmware)
    source = (firmware / "ports/my-board/port.c").read_text()
    if like == "mps2-an386":  # the interrupt's number comes before the functions
        config = firmware / "ports/my-board/hb_port_config.h"
        assert '#error "HB_UART_IRQ' in config.read_text()
    done = make(firmware, "my-board", "-k", "build/my-board/obj/ports/my-board/port.o")
    assert done.returncode != 0
    for function in to_write(source):
        assert f'#error "{function}: ' in done.stderr


def make(firmware, port, *args):
    return subprocess.run(
        ["make", "-C", str(firmware), f"PORT={port}", "-j2", *args],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def follow(source):
    """Do with a written template what the document's worked example says."""
    example = DOC[DOC.index("## Worked example") :]
    blocks = re.findall(r"```c\n(.*?)```", example, re.DOTALL)
    shared, functions = blocks[0], blocks[1:]
    line = "/* Everything that the functions below share goes here. */\n"
    assert line in source
    source = source.replace(line, shared)
    for body in functions:
        name = re.match(r"[^\n]*?\b(hb_port_\w+)\(", body)[1]
        hole = re.compile(rf"^[^\n]*\b{name}\([^)]*\) \{{\n#error [^\n]*\n\}}\n", re.MULTILINE)
        source, count = hole.subn(lambda _m, body=body: body, source)
        assert count == 1, name
    return source


@pytest.mark.firmware
def test_the_document_followed_to_the_letter_gives_a_board_that_doctor_approves(
    firmware, tmp_path, monkeypatch
):
    if shutil.which("gcc") is None:
        pytest.skip("no gcc: apt-get install gcc libc6-dev")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    create_port("my-computer", "posix", firmware)
    port = firmware / "ports/my-computer/port.c"
    port.write_text(follow(port.read_text()))
    assert not to_write(port.read_text())
    done = make(firmware, "my-computer")
    assert done.returncode == 0, done.stderr
    image = find_image("my-computer", firmware)
    path = tmp_path / "my-computer"
    board = subprocess.Popen(
        [image.path], env=os.environ | {"HB_PORT_PATH": str(path)}, stdin=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 20
        while not path.exists():
            assert board.poll() is None
            assert time.monotonic() < deadline
        config = BoardConfig(
            "my-computer", "my-computer", serial=str(path), source="boards.toml",
            timeouts=Timeouts(start_s=2, hello_s=3, reply_s=3),
        )  # fmt: skip
        checks = {c.name: c for c in examine_board(config, image)}
        again = {c.name: c for c in examine_board(config, image)}  # it stays after a host has left
    finally:
        board.kill()
        board.wait(10)
    assert checks["HELLO"].state == again["HELLO"].state == "warn"
    assert checks["HELLO"].fact.startswith("my-computer on my computer, build ")
    assert "nobody has tested it" in checks["HELLO"].fact
    assert "recovery" not in checks
    assert {checks[name].state for name in ("echo", "goodput", "flash wear")} == {"ok"}
    assert checks["clock"].state in {"ok", "warn", "skipped"}  # this computer may be busy


EIGHT = {
    "hb_port_info": "static struct hb_port_info info; return &info;",
    "hb_port_unique_id": "(void)out; (void)cap; return 0;",
    "hb_port_init": "",
    "hb_cortex_m_irq": "hb_receive_put(0); hb_receive_lost();",
    "hb_port_uart_write": "(void)data; (void)length;",
    "hb_port_uart_flush": "",
    "hb_port_counter": "return HB_SYST_CVR;",
    "hb_port_marker": "(void)on;",
}


@pytest.mark.firmware
@pytest.mark.parametrize("like", ["mps2-an386", "rp2040"])
def test_eight_functions_are_all_that_a_cortex_m_port_needs(firmware, like):
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("no arm-none-eabi-gcc: apt-get install gcc-arm-none-eabi")
    config, *sources = create_port("my-board", like, firmware)
    config.write_text(re.sub(r"#error.*", "#define HB_UART_IRQ 0u", config.read_text()))
    bodies = EIGHT | {"hb_port_idle": "(void)duration_us;"}  # where it cannot be shared
    for file in sources:
        text = re.sub(r'#error "(\w+): .*', lambda found: bodies[found[1]], file.read_text())
        file.write_text(text)
    done = make(firmware, "my-board")
    assert done.returncode == 0, done.stderr
    assert find_image("my-board", firmware).port == "my-board"


@pytest.mark.parametrize(
    ("name", "like", "sentence"),
    [
        (
            "My Board",
            "posix",
            "port name 'My Board' may hold small letters, digits and '-' only; ch",
        ),
        ("shared", "posix", "port name 'shared' may hold"),
        ("posix", "posix", "/ports/posix exists already; choose another name or remove it"),
        ("x", "stm32f9", "--like 'stm32f9' is no port; there are: "),
    ],
)
def test_what_cannot_be(firmware, name, like, sentence):
    before = sorted((firmware / "ports").iterdir())
    with pytest.raises(UsageError, match=re.escape(sentence)):
        create_port(name, like, firmware)
    assert sorted((firmware / "ports").iterdir()) == before


def test_an_installed_package_has_no_sources(tmp_path):
    sentence = (
        f"{tmp_path}/ports/_template does not exist: a port is written in a checkout of hilbench, "
        "an installed package has no firmware sources; clone it and run this there"
    )
    with pytest.raises(UsageError, match=re.escape(sentence)):
        create_port("x", "posix", tmp_path)


def test_the_command_says_what_is_next(firmware, monkeypatch, capsys):
    monkeypatch.setattr("hilbench.cli.commands.new_port.FIRMWARE", firmware)
    assert main(["new-port", "my-board", "--like", "posix"]) == 0
    out = capsys.readouterr().out
    assert str(firmware / "ports/my-board/port.c") in out
    todo = (
        f"{len(declared())} places are marked #error (grep -n '#error' {firmware}/ports/my-board/*"
    )
    assert todo in out
    assert out.endswith("Then: make -C device_firmware PORT=my-board\n")


def test_fill():
    text = "a\n@only x y\nb @KEY@\n@end\n@only z\nc\n@end\nd"
    assert fill(text, "y", {"KEY": "1"}) == "a\nb 1\nd\n"
    assert fill(text, "z", {"KEY": "1"}) == "a\nc\nd\n"
