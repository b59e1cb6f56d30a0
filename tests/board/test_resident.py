"""A plan in the image: found, patched, refused; against ELF files that this file builds by hand."""

from __future__ import annotations

import hashlib
import io
import struct
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from hypothesis import given, settings
from hypothesis import strategies as st

from hilbench.board.resident import needs_resident, patch_image
from hilbench.errors import ImageError, ModelTooLargeError
from hilbench.records import Image, Plan, TensorInfo

CODE, PLACE, CAPACITY = b"machine code", 0x40, 100
EHDR, PHDR, SHDR = "<16sHHIIIIIHHHHHH", "<8I", "<10I"
NAMES = b"\0.text\0.hb_resident\0.shstrtab\0"
SECTION_NAME = NAMES.index(b".hb_")


def header(magic=b"HQRS", capacity=CAPACITY, length=0):
    return magic + struct.pack("<3I32x", capacity, length, 0)


def elf(content=None, *, place=PLACE, sections=1, segments=1, names=NAMES, elf_class=1):
    """.text at 0, and `content` as .hb_resident at `place`; virtual addresses are higher by 1000."""
    content = header() if content is None else content
    body_at = struct.calcsize(EHDR) + struct.calcsize(PHDR) * (1 + segments)
    content_at = body_at + len(CODE)
    names_at = content_at + len(content)
    programs = struct.pack(PHDR, 1, body_at, 1000, 0, len(CODE), len(CODE), 5, 1)
    own = struct.pack(PHDR, 1, content_at, 1000 + place, place, len(content), len(content), 4, 1)
    table = struct.pack(SHDR, *[0] * 10)
    table += struct.pack(SHDR, 1, 1, 6, 1000, body_at, len(CODE), 0, 0, 1, 0)
    one = struct.pack(SHDR, SECTION_NAME, 1, 2, 1000 + place, content_at, len(content), 0, 0, 1, 0)
    table += one * sections
    table += struct.pack(SHDR, names.index(b".shstr"), 3, 0, 0, names_at, len(names), 0, 0, 1, 0)
    start = struct.pack(
        EHDR, b"\x7fELF" + bytes([elf_class, 1, 1]) + bytes(9), 2, 83, 1, 0,
        struct.calcsize(EHDR), names_at + len(names), 0, struct.calcsize(EHDR),
        struct.calcsize(PHDR), 1 + segments, struct.calcsize(SHDR), 3 + sections, 2 + sections,
    )  # fmt: skip
    return start + programs + own * segments + CODE + content + names + table


def image(path: Path, data: bytes) -> Image:
    path.write_bytes(data)
    sections = ((".text", len(CODE)), (".hb_resident", 48))
    return Image(
        "atmega328p", path, "ab" * 20, hashlib.sha256(data).hexdigest(), "gcc", "-Os", sections
    )


def plan(length: int) -> Plan:
    data = bytes(i % 251 for i in range(length))
    tensor = TensorInfo("t", (1, 4), "int8", 1.0, 0)
    return Plan(data, hashlib.sha256(data).hexdigest(), 80, (tensor,), (tensor,), ())


def loaded(path: Path) -> dict[int, bytes]:
    """What a flasher writes: bytes by load address."""
    segments = ELFFile(io.BytesIO(path.read_bytes())).iter_segments("PT_LOAD")
    return {s["p_paddr"]: s.data() for s in segments}


def test_capacity_is_what_the_section_says(tmp_path):
    assert needs_resident(image(tmp_path / "a.elf", elf())) == CAPACITY
    without = image(tmp_path / "b.elf", elf(sections=0))
    assert needs_resident(without) is None


def test_patched_copy_holds_header_and_plan_at_their_address(tmp_path):
    original = image(tmp_path / "hilbench.elf", elf())
    chosen = plan(CAPACITY - 1)
    patched = patch_image(original, chosen, tmp_path)
    assert loaded(original.path) == {0: CODE, PLACE: header()}
    assert loaded(patched.path) == {
        0: CODE,
        PLACE: b"HQRS"
        + struct.pack("<3I", CAPACITY, CAPACITY - 1, 0)
        + hashlib.sha256(chosen.data).digest()
        + chosen.data,
    }
    section = ELFFile(io.BytesIO(patched.path.read_bytes())).get_section_by_name(".hb_resident")
    assert section.data() == loaded(patched.path)[PLACE]
    assert section["sh_addr"] == 1000 + PLACE
    assert patched.build_id == original.build_id
    assert patched.path != original.path
    assert patched.sha256 == hashlib.sha256(patched.path.read_bytes()).hexdigest()
    assert patched.sections == ((".text", len(CODE)), (".hb_resident", 48 + CAPACITY - 1))


def test_plans_of_one_image_do_not_share_a_file(tmp_path):
    original = image(tmp_path / "hilbench.elf", elf())
    first, second = (patch_image(original, plan(n), tmp_path) for n in (5, 6))
    assert len({original.path, first.path, second.path}) == 3
    assert loaded(first.path)[PLACE][-5:] == plan(5).data


def test_a_plan_of_exactly_the_capacity_fits_and_one_more_byte_does_not(tmp_path):
    original = image(tmp_path / "hilbench.elf", elf())
    assert (
        loaded(patch_image(original, plan(CAPACITY), tmp_path).path)[PLACE][48:] == plan(100).data
    )
    with pytest.raises(ModelTooLargeError) as caught:
        patch_image(original, plan(CAPACITY + 1), tmp_path)
    assert str(caught.value) == (
        "port atmega328p: the plan needs 101 bytes of the image, 100 are available; "
        "choose a smaller variant or another board"
    )


def test_image_without_a_section_cannot_be_patched(tmp_path):
    original = image(tmp_path / "hilbench.elf", elf(sections=0))
    with pytest.raises(ImageError) as caught:
        patch_image(original, plan(4), tmp_path)
    assert str(caught.value) == (
        f"the atmega328p image {original.path} has no section .hb_resident for a plan; "
        "its models are loaded into RAM"
    )


def test_a_patched_image_is_not_patched_again(tmp_path):
    patched = patch_image(image(tmp_path / "hilbench.elf", elf()), plan(4), tmp_path)
    with pytest.raises(ImageError, match="has 52 bytes, not the 48 of an empty header"):
        patch_image(patched, plan(4), tmp_path)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (elf(header(magic=b"XXXX")), "magic is 0x58585858 (0x53525148 expected) and length 0"),
        (elf(header(length=1)), "magic is 0x53525148 (0x53525148 expected) and length 1"),
        (elf(header()[:-1]), "it has 47 bytes, not the 48 of an empty header"),
        (elf(header() + b"."), "it has 49 bytes, not the 48 of an empty header"),
        (elf(sections=2), "it is not one section in one segment of a 32-bit ELF"),
        (elf(segments=0), "it is not one section in one segment of a 32-bit ELF"),
        (elf(segments=2), "it is not one section in one segment of a 32-bit ELF"),
        (elf(place=11), "its room 0xb to 0x9f overlaps what is loaded at 0x0"),
        (
            elf(header(capacity=0xFFFFFFFF), place=12),
            "its room 0xc to 0x10000003b is beyond 32-bit addresses",
        ),
    ],
)  # fmt: skip
def test_hostile_sections_are_refused(tmp_path, data, complaint):
    bad = image(tmp_path / "bad.elf", data)
    for attempt in (lambda: needs_resident(bad), lambda: patch_image(bad, plan(4), tmp_path)):
        with pytest.raises(ImageError) as caught:
            attempt()
        assert str(caught.value) == (
            f"{bad.path}: section .hb_resident is unusable, {complaint}; "
            "build it again with: make firmware"
        )


@pytest.mark.parametrize("data", [b"", b"not an ELF", elf()[:200], elf(elf_class=2), elf()[:-1]])
def test_files_that_are_no_elf_are_refused(tmp_path, data):
    bad = image(tmp_path / "bad.elf", data)
    with pytest.raises(ImageError, match=r"build it again with: make firmware$"):
        needs_resident(bad)


def test_absent_file_is_refused(tmp_path):
    gone = image(tmp_path / "gone.elf", b"")
    gone.path.unlink()
    with pytest.raises(ImageError) as caught:
        needs_resident(gone)
    assert str(caught.value) == (
        f"cannot read the atmega328p image {gone.path} (No such file or directory); "
        "build it with: make firmware"
    )


@settings(max_examples=100)
@given(
    st.lists(
        st.tuples(st.integers(0, len(elf()) - 1), st.integers(0, 255)), min_size=1, max_size=4
    ),
    st.integers(0, len(elf())),
)
def test_damaged_files_end_in_a_typed_error_or_keep_their_word(tmp_path_factory, changes, cut):
    data = bytearray(elf())
    for at, byte in changes:
        data[at] = byte
    folder = tmp_path_factory.mktemp("elf")
    damaged = image(folder / "hilbench.elf", bytes(data if cut % 3 else data[:cut]))
    chosen = plan(20)
    try:
        patched = patch_image(damaged, chosen, folder)
    except (ImageError, ModelTooLargeError) as error:
        assert "\n" not in str(error)  # noqa: PT017
        return
    assert any(s.endswith(chosen.data) for s in loaded(patched.path).values())
