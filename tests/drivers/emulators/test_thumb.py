"""The plugin's view of Thumb instructions against binutils' disassembler and Arm's tables."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from hilbench.drivers.emulators._compile import compiled
from hilbench.drivers.emulators._edges import CLASSES
from hilbench.drivers.emulators._tcg_plugin import SOURCES
from tests.drivers.emulators.emulated_line import image_or_skip

pytestmark = pytest.mark.qemu
TOOLS = "arm-none-eabi-"
M0, M3, M4 = 0, 1, 2
HELIUM = ("-m", "armv8.1-m.main")  # else objdump calls some of it "stc"
MOV_R8_R8 = 0x46C0  # printed as nop

# Mnemonic to class, first match; condition suffixes and .n, .w are taken off before.
CLASS_OF = [
    ("fp", r"v(mrs|msr)"),
    ("other", r"(nop|wf[ie]|sev|yield|it[te]*|cps.*|bkpt|udf|svc|[dis][sm]b|mrs|msr|clrex)"),
    ("other", r"(pld|pli|pldw|sg|tt[at]*|csdb|ssbb|pssbb|esb|dbg)"),
    ("other", r"(mcrr?2?|mrrc?2?|cdp2?)"),
    ("branch", r"(b|bl|bx|blx|bxns|blxns|cbn?z|tb[bh]|bf(csel|lx?|x)?|[wd]ls(tp\.\d+)?|le(tp)?)"),
    ("div", r"[us]div"),
    ("mul", r"(muls?|ml[as]|[us]m[lmu].*|umaal|usada?8)"),
    ("load", r"(ldr.*|ldm.*|pop|lda.*)"),
    ("load", r"v(ldr|ldm|pop|ld[24]).*"),
    ("store", r"(str.*|stm.*|push|stl.*)"),
    ("store", r"v(str|stm|push|st[24]).*"),
    ("alu", r"(movs?|movw|movt|mvns?|adds?|addw|adcs?|subs?|subw|sbcs?|rsbs?|negs?|ands?|orrs?)"),
    ("alu", r"(orns?|eors?|bics?|cmp|cmn|tst|teq|lsls?|lsrs?|asrs?|rors?|rrxs?|adr|clz|rbit)"),
    ("alu", r"(rev(16|sh)?|[us]xta?[bh](16)?|[us]bfx|bfi|bfc|[us]sat(16)?|sel|pkh(bt|tb))"),
    (
        "alu",
        r"(q(d?add|d?sub)|[usq]+h?(add|sub|asx|sax)(8|16)?|[sq]sax|[us]?q?s?hl+|cs\w+|cin[cv])",
    ),
    ("alu", r"(lsll|lsrl|asrl|sqrshrl?|uqrshll?|[us]q?r?sh[lr]l?|cneg|cset|csel)"),
]
VECTOR_WITHOUT_Q = r"vctp.*|vpst.*|vpnot|vmov\.[us]?(8|16)"
CONDITION = r"(eq|ne|cs|cc|mi|pl|vs|vc|hi|ls|ge|lt|gt|le)"


@pytest.fixture(scope="module")
def thumb(tmp_path_factory):
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed; install it with: apt-get install gcc")
    command = ("gcc", "-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-fPIC")
    library = compiled("thumb.so", (*command, "-shared", "thumb.c"), SOURCES, install="", why="")
    return ctypes.CDLL(str(library))


def disassembled(path, *options) -> Iterator[tuple[int, int, str, str]]:
    """Yield both halves, mnemonic and operands."""
    if shutil.which(TOOLS + "objdump") is None:
        pytest.skip("objdump for Arm is not installed: apt-get install binutils-arm-none-eabi")
    text = subprocess.run(
        [TOOLS + "objdump", "-d", *options, str(path)], check=True, capture_output=True, text=True
    ).stdout
    line = re.compile(
        r"^ *[0-9a-f]+:\t([0-9a-f]{4})(?: ([0-9a-f]{4}))? *\t(\S+)(?:\t([^;@\n]*))?", re.MULTILINE
    )
    for first, second, mnemonic, operands in line.findall(text):
        if not mnemonic.startswith((".", "<")):
            yield int(first, 16), int(second or "0", 16), mnemonic, operands.strip()


def expected(mnemonic: str, operands: str) -> str:
    for name in (re.sub(r"\.[nw]$", "", mnemonic),):
        if re.search(r"\bpc$", operands.split(",", maxsplit=1)[0]) and re.fullmatch(
            r"(mov|add)", name
        ):
            return "branch"
        for candidate in (name, re.sub(CONDITION + r"(\.|$)", r"\2", name)):
            for kind, pattern in CLASS_OF:
                if re.fullmatch(pattern, candidate):
                    return kind
        if re.fullmatch(VECTOR_WITHOUT_Q, name) or re.search(r"\bq\d", operands):
            return "vector"
        if name.startswith("v"):
            return "vector" if re.match(r"vmov", name) and "[2]" in operands else "fp"
    raise AssertionError(f"no class for {mnemonic} {operands}")


def check(thumb, instructions) -> int:
    wrong, seen = [], set()
    for first, second, mnemonic, operands in instructions:
        if (first, second) in seen or first == MOV_R8_R8 or "UNDEFINED" in operands:
            continue
        seen.add((first, second))
        kind = CLASSES[thumb.hb_thumb_class(first, second)]
        if kind != expected(mnemonic, operands):
            wrong.append(f"{first:04x} {second:04x} {mnemonic} {operands}: {kind}")
    assert not wrong, "\n".join(wrong)
    return len(seen)


@pytest.mark.parametrize("port", ["nrf51", "mps2-an385", "mps2-an386", "mps2-an505", "mps3-an547"])
def test_every_instruction_of_an_image(port, thumb):
    options = HELIUM if port == "mps3-an547" else ()
    assert check(thumb, disassembled(image_or_skip(port).path, *options)) > 2000


RARE = """
.syntax unified
.thumb
x: nop; nop.w; wfi; wfe; sev; yield; cpsid i; cpsie f; bkpt #1; svc #2; dmb; dsb; isb
mrs r0, primask; msr basepri, r1; clrex; it eq; moveq r0, r1; sg; tt r0, r1; pld [r0]; pld [r0, r1]
tbb [pc, r0]; tbh [pc, r1, lsl #1]; cbz r0, y; cbnz r0, y; y: bx lr; blx r3; mov pc, r3; bl x; b.w x
bne.w x; bhi x; wls lr, r0, z; dls lr, r0; le lr, y; z: vctp.16 r0; wlstp.8 lr, r0, z2; letp lr, y; z2:
udiv r0, r1, r2; sdiv r0, r1, r2; muls r0, r1; mla r0, r1, r2, r3; mls r0, r1, r2, r3
smull r0, r1, r2, r3; umaal r0, r1, r2, r3; smlad r0, r1, r2, r3; smlald r0, r1, r2, r3; smulbb r0, r1, r2
smmul r0, r1, r2; usad8 r0, r1, r2; smlawb r0, r1, r2, r3; umlal r0, r1, r2, r3
ldrex r0, [r1]; strex r0, r1, [r2]; ldrexb r0, [r1]; strexh r0, r1, [r2]; lda r0, [r1]; stl r0, [r1]
ldrd r0, r1, [r2]; strd r0, r1, [r2], #8; ldrd r0, r1, [r2], #8; ldr pc, [r0]; ldr.w r0, [r1, r2]
ldrsh.w r0, [r1, #-4]; strb.w r0, [r1, #-1]; ldrt r0, [r1]; push {r4}; push {r0-r7, lr}
pop {r1, pc}; push.w {r8, r9}; pop.w {r8, pc}; stmia r0!, {r1-r3}; ldmia r0!, {r1-r3}; ldmdb r0, {r4-r5}
ldr r0, =0x12345678; adr r0, y; movw r0, #1; movt r0, #2; ssat r0, #8, r1; usat16 r0, #4, r1; bfi r0, r1, #2, #3
ubfx r0, r1, #2, #3; rev16 r0, r1; clz r0, r1; rbit r0, r1; sadd16 r0, r1, r2; qadd r0, r1, r2; sel r0, r1, r2
sxtab16 r0, r1, r2; sxtb16 r0, r1; pkhbt r0, r1, r2; uhsub8 r0, r1, r2; csel r0, r1, r2, eq; cinc r0, r1, ne
lsll r0, r1, #3; sqrshr r0, r1; asrl r0, r1, r2; lsl.w r0, r1, r2; orn r0, r1, r2; teq r0, r1
vadd.f32 s0, s1, s2; vdiv.f32 s0, s1, s2; vsqrt.f32 s0, s1; vfma.f32 s0, s1, s2; vmla.f32 s0, s1, s2
vmov s0, r0; vmov r0, s0; vmov r0, r1, d0; vmov s0, s1, r0, r1; vmrs APSR_nzcv, fpscr; vcmp.f32 s0, s1
vcvt.s32.f32 s0, s1; vadd.f64 d0, d1, d2; vsel.f32; vmaxnm.f32 s0, s1, s2; vrinta.f32 s0, s1; vmov.f32 s0, #1.0
vadd.f16 s0, s1, s2; vldr s0, [r0]; vstr d0, [r0]; vldmia r0!, {s0-s3}; vpush {d8-d9}; vpop {d8}; vldr.16 s0, [r0]
vldrb.8 q0, [r0]; vstrw.32 q0, [r0], #16; vldrb.s16 q0, [r0, #4]; vstrb.16 q0, [r0]; vldrw.u32 q0, [r1, q2]
vldrw.u32 q0, [q1, #4]; vld20.8 {q0, q1}, [r0]; vst41.32 {q0, q1, q2, q3}, [r0]; vstrb.8 q0, [r1, q2]
vadd.i8 q0, q1, q2; vmul.i32 q0, q1, r0; vmladava.s8 r0, q0, q1; vmlaldava.s16 r0, r1, q0, q1; vaddv.s32 r0, q1
vdup.8 q0, r0; vdup.32 q0, r0; vmov.8 q0[1], r0; vmov.u8 r0, q0[3]; vmov.16 q0[1], r0; vmov.32 q0[0], r0
vmov q0[2], q0[0], r0, r1; vmov r0, r1, q0[2], q0[0]; vpst; vaddt.i8 q0, q1, q2; vmax.s8 q0, q1, q2
vqrdmulh.s32 q0, q1, q2; vshl.i32 q0, q1, #2; vfma.f32 q0, q1, q2; vcmp.s8 ge, q0, r0; vpsel q0, q1, q2
vidup.u8 q0, r0, #1; vmovlb.s8 q0, q1; vqmovnb.s16 q0, q1; vorr q0, q1, q2; vmov.i32 q0, #0; vrshl.s32 q0, r0
""".replace("vsel.f32;", "vseleq.f32 s0, s1, s2;")


@pytest.fixture(scope="module")
def assemble(tmp_path_factory):
    def _assemble(text):
        if shutil.which(TOOLS + "gcc") is None:
            pytest.skip("arm-none-eabi-gcc is not installed: apt-get install gcc-arm-none-eabi")
        path = tmp_path_factory.mktemp("thumb") / "x.o"
        options = ("-mcpu=cortex-m55", "-mfloat-abi=hard", "-c", "-x", "assembler", "-")
        command = [TOOLS + "gcc", *options, "-o", str(path)]
        subprocess.run(command, input=text.encode(), check=True)
        return path

    return _assemble


def test_rare_instructions(thumb, assemble):
    assert check(thumb, disassembled(assemble(RARE), *HELIUM)) > 150


# Arm's tables of instruction timing (DDI 0432, DDI 0337, DDI 0439); None: the core has no such one.
# Refill of a taken branch 3 - 1, division 7 and long products of the M3 4, as docs/emulators.md says.
CYCLES = {  # M0, M3, M4
    "adds r0, r1": (1, 1, 1),
    "muls r0, r1": (1, 1, 1),
    "mla r0, r1, r2, r3": (None, 2, 1),
    "mul.w r0, r1, r2": (None, 1, 1),
    "smull r0, r1, r2, r3": (None, 4, 1),
    "sdiv r0, r1, r2": (None, 7, 7),
    "smlad r0, r1, r2, r3": (None, None, 1),
    "ldr r0, [r1]": (2, 2, 2),
    "ldrd r0, r1, [r2]": (None, 3, 3),
    "ldr.w r0, [r1, #300]": (None, 2, 2),
    "ldr pc, [r0]": (None, 4, 4),
    "ldmia r0!, {r1-r4}": (5, 5, 5),
    "ldrex r0, [r1]": (None, 2, 2),
    "str r0, [r1]": (2, 1, 1),
    "strd r0, r1, [r2]": (None, 3, 3),
    "stmia r0!, {r1-r4}": (5, 5, 5),
    "push {r4-r6, lr}": (5, 5, 5),
    "pop {r4-r6}": (4, 4, 4),
    "pop {r4-r6, pc}": (8, 7, 7),
    "pop.w {r8, pc}": (None, 5, 5),
    "b .": (3, 3, 3),
    "bx lr": (3, 3, 3),
    "bl .": (4, 3, 3),
    "tbb [pc, r0]": (None, 4, 4),
    "msr primask, r0": (4, 2, 2),
    "nop": (1, 1, 1),
    "vadd.f32 s0, s1, s2": (None, None, 1),
    "vmul.f32 s0, s1, s2": (None, None, 1),
    "vmla.f32 s0, s1, s2": (None, None, 3),
    "vfma.f32 s0, s1, s2": (None, None, 3),
    "vdiv.f32 s31, s1, s2": (None, None, 14),
    "vsqrt.f32 s31, s1": (None, None, 14),
    "vcvt.s32.f32 s0, s1": (None, None, 1),
    "vmov s0, r0": (None, None, 1),
    "vmov s0, s1, r0, r1": (None, None, 2),
    "vldr s0, [r1]": (None, None, 2),
    "vldr d0, [r1]": (None, None, 3),
    "vldmia r0!, {s0-s3}": (None, None, 5),
    "vpush {d8-d9}": (None, None, 5),
}


def test_cycles_are_those_of_arms_tables(thumb, assemble):
    text = ".syntax unified\n.thumb\n" + "\n".join(CYCLES) + "\n"
    rows = list(disassembled(assemble(text)))
    assert len(rows) == len(CYCLES)
    for (first, second, _, _), (source, cycles) in zip(rows, CYCLES.items(), strict=True):
        found = tuple(thumb.hb_thumb_cycles(core, first, second) for core in (M0, M3, M4))
        assert all(c in {None, f} for c, f in zip(cycles, found, strict=True)), (source, found)
