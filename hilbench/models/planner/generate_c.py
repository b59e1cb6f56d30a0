"""Write device_firmware/include/hb_plan.h from layout.py.

python -m hilbench.models.planner.generate_c           # write
python -m hilbench.models.planner.generate_c --check   # exit code 1 when the file is stale
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hilbench.models.planner import layout

HEADER_FILE = Path(__file__).resolve().parents[3] / "device_firmware" / "include" / "hb_plan.h"

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


def render() -> str:
    """Return the text of hb_plan.h."""
    kinds = [(f"HB_PLAN_{r.name.upper()}", r.kind, "") for r in layout.RECORDS.values()]
    faults = [(f"HB_PLAN_FAULT_{k.upper()}", v, text) for k, (v, text) in layout.FAULTS.items()]
    parts = (layout.HEADER, layout.HEAD, layout.WINDOW, layout.QUANTISED, layout.RANGE)
    return "\n".join(
        [
            "/* The plan format. Generated from hilbench/models/planner/layout.py by",
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
            *(_part(p) for p in parts),
            *(_record(r) for r in layout.RECORDS.values()),
            "#endif",
            "",
        ]
    )


def main(argv: list[str] | None = None) -> int:
    """Write the header, or compare it with ``--check``; returns the exit code."""
    parser = argparse.ArgumentParser(description="Generate device_firmware/include/hb_plan.h")
    parser.add_argument("--check", action="store_true", help="compare only; 1 when stale")
    args = parser.parse_args(argv)
    text = render()
    if not args.check:
        HEADER_FILE.write_text(text, encoding="utf-8")
        return 0
    if HEADER_FILE.is_file() and HEADER_FILE.read_text(encoding="utf-8") == text:
        return 0
    print(
        f"{HEADER_FILE} is stale; run: python -m hilbench.models.planner.generate_c",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
