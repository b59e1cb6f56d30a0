"""arm-none-eabi-gcc 12.2 duplicates a volatile store that it moves out of a loop.

The function sends every character of a string through a register. In correct code the register is
stored to at one place; the duplicated store sends the last character twice.
"""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from hilbench.board.images import find_image
from hilbench.errors import ImageError

GCC = "arm-none-eabi-gcc"
TX_REGISTER_OFFSET = "#1308"  # 0x4000251C - 0x40002000
SOURCE = """
#include <stdint.h>
#define REG(a) (*(volatile uint32_t *)(uintptr_t)(a))
static int started;
static inline void tx(uint8_t c) {
    if (started) { while (!REG(0x4000211C)); }
    REG(0x4000211C) = 0;
    started = 1;
    REG(0x4000251C) = c;
}
void send(const char *s) { while (*s) tx((uint8_t)*s++); }
"""

pytestmark = [
    pytest.mark.firmware,
    pytest.mark.skipif(shutil.which(GCC) is None, reason=f"{GCC} is not installed"),
]


def transmit_stores(cpu: str, *flags: str) -> int:
    command = [GCC, "-x", "c", "-", "-S", "-o", "-", "-mthumb", f"-mcpu={cpu}", "-O2", *flags]
    listing = subprocess.run(
        command, input=SOURCE, capture_output=True, text=True, check=True
    ).stdout
    return len(re.findall(rf"\bstr\t.*{TX_REGISTER_OFFSET}\]", listing))


@pytest.mark.parametrize("cpu", ["cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55"])
def test_with_the_flag_there_is_one_store(cpu):
    assert transmit_stores(cpu, "-fno-move-loop-stores") == 1


def test_without_the_flag_gcc_12_2_stores_twice():
    version = subprocess.run(
        [GCC, "-dumpversion"], capture_output=True, text=True, check=True
    ).stdout
    if not version.startswith("12.2"):
        pytest.skip(f"the miscompilation is that of gcc 12.2, this is {version.strip()}")
    assert transmit_stores("cortex-m4") == 2


@pytest.mark.parametrize(
    "port", ["mps2-an385", "mps2-an386", "mps2-an500", "mps2-an505", "mps3-an547"]
)
def test_every_arm_image_is_built_with_it(port):
    try:
        image = find_image(port)
    except ImageError as error:
        pytest.skip(str(error))
    assert "-fno-move-loop-stores" in image.flags.split()
