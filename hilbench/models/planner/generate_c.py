"""Write device_firmware/include/hb_plan.h and the tables of device_firmware/PLAN.md.

Both come from layout.py and the records of sets/.


python -m hilbench.models.planner.generate_c           # write
python -m hilbench.models.planner.generate_c --check   # exit code 1 when a file is stale
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hilbench.models.planner import layout
from hilbench.models.planner.sets import records

FIRMWARE = Path(__file__).resolve().parents[3] / "device_firmware"
HEADER_FILE = FIRMWARE / "include" / "hb_plan.h"
SPEC_FILE = FIRMWARE / "PLAN.md"
BEGIN, END = "<!-- generated: begin -->\n", "<!-- generated: end -->\n"

_PARTS = (
    layout.HEADER,
    layout.HEAD,
    layout.WINDOW,
    layout.QUANTISED,
    layout.RANGE,
    layout.BROADCAST,
    layout.REDUCE,
)
_C_TYPES = {
    "u16": "uint16_t",
    "i16": "int16_t",
    "u32": "uint32_t",
    "i32": "int32_t",
    "f32": "float",
}


def _field(field: layout.Field) -> str:
    comment = f" /* {field.comment} */" if field.comment else ""
    return f"    {_C_TYPES[field.type]} {field.name};{comment}"


def _struct(name: str, lines: list[str], size: int) -> str:
    body = "\n".join(lines)
    return (
        f"struct hb_plan_{name} {{\n{body}\n}};\n"
        f"typedef char hb_plan_{name}_is_{size}_bytes[sizeof(struct hb_plan_{name}) == {size} ? 1 : -1];\n"
    )


def _part(part: layout.Part) -> str:
    return _struct(part.name, [_field(f) for f in part.fields], layout.packer(part.fields).size)


def _record(record: layout.Record) -> str:
    lines = [f"    struct hb_plan_{part.name} {part.name};" for part in record.parts]
    return _struct(record.name, lines + [_field(f) for f in record.fields], record.bytes)


def _enum(name: str, entries: list[tuple[str, int, str]]) -> str:
    lines = [
        f"    {key} = {value},{f' /* {comment} */' if comment else ''}"
        for key, value, comment in entries
    ]
    return f"enum {name} {{\n" + "\n".join(lines) + "\n};\n"


def render_header() -> str:
    """Return the text of hb_plan.h."""
    kinds = [(f"HB_PLAN_{r.name.upper()}", r.kind, "") for r in records().values()]
    faults = [(f"HB_PLAN_FAULT_{k.upper()}", v, text) for k, (v, text) in layout.FAULTS.items()]
    return "\n".join(
        [
            "/* The plan format. Generated from hilbench/models/planner/ by",
            " * python -m hilbench.models.planner.generate_c: do not edit. See device_firmware/PLAN.md. */",
            "/* clang-format off */",
            "#ifndef HB_PLAN_H",
            "#define HB_PLAN_H",
            "",
            "#include <stdint.h>",
            "",
            f"#define HB_PLAN_MAGIC     0x{layout.MAGIC:08x}u",
            f"#define HB_PLAN_VERSION   {layout.VERSION}u",
            f"#define HB_PLAN_ALIGNMENT {layout.ALIGNMENT}u",
            "",
            _enum("hb_plan_kind", kinds),
            _enum("hb_plan_fault", [("HB_PLAN_FAULT_NONE", 0, ""), *faults]),
            *(_part(p) for p in _PARTS),
            *(_record(r) for r in records().values()),
            "#endif",
            "",
        ]
    )


def _table(title: str, parts: tuple[layout.Part, ...], fields: tuple[layout.Field, ...]) -> str:
    rows, offset = [], 0
    for part in parts:
        rows.append(f"| {offset} | struct | {part.name} | |")
        offset += layout.packer(part.fields).size
    for field in fields:
        rows.append(f"| {offset} | {field.type} | {field.name} | {field.comment} |")
        offset += layout.packer((field,)).size
    head = "| byte | type | field | |\n|---|---|---|---|\n"
    return f"### {title}: {offset} bytes\n\n{head}" + "\n".join(rows) + "\n"


def render_tables() -> str:
    """Return the generated part of PLAN.md."""
    faults = "\n".join(
        f"| {why} | {name} | {text} |" for name, (why, text) in layout.FAULTS.items()
    )
    magic = layout.MAGIC.to_bytes(4, "little")
    return "\n".join(
        [
            (
                f"`magic` is 0x{layout.MAGIC:08x} (bytes {magic.hex(' ')}), "
                f"`version` is {layout.VERSION}.\n"
            ),
            *(_table(part.name, (), part.fields) for part in _PARTS),
            *(_table(f"{r.name}, kind {r.kind}", r.parts, r.fields) for r in records().values()),
            f"## Faults\n\n| reason | name | |\n|---|---|---|\n{faults}\n",
        ]
    )


def _spec() -> str:
    text = SPEC_FILE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{render_tables()}\n{END}{after}"


def main(argv: list[str] | None = None) -> int:
    """Write both files, or compare them with ``--check``; returns the exit code."""
    parser = argparse.ArgumentParser(description="Generate hb_plan.h and the tables of PLAN.md")
    parser.add_argument("--check", action="store_true", help="compare only; 1 when stale")
    args = parser.parse_args(argv)
    code = 0
    for path, text in ((HEADER_FILE, render_header()), (SPEC_FILE, _spec())):
        if not args.check:
            path.write_text(text, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            print(
                f"{path} is stale; run: python -m hilbench.models.planner.generate_c",
                file=sys.stderr,
            )
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
