"""Write device_firmware/include/hb_protocol.h and the tables of PROTOCOL.md from messages.py.

``python -m hilbench.protocol.generate_c`` writes both; with ``--check`` it writes nothing and exits
1 when one of them is stale.
"""

from __future__ import annotations

import argparse
import enum
import re
import sys
from pathlib import Path

from hilbench.protocol import messages
from hilbench.protocol.messages import GUARD_US, MESSAGES, PATTERN, PROTOCOL_VERSION
from hilbench.protocol.packets import MAX_PAYLOAD_BYTES, OVERHEAD_BYTES
from hilbench.protocol.schema import INTEGERS, Message, wire_types

FIRMWARE = Path(__file__).resolve().parents[2] / "device_firmware"
HEADER = FIRMWARE / "include" / "hb_protocol.h"
SPECIFICATION = FIRMWARE / "PROTOCOL.md"
BEGIN = "<!-- generated: {} -->"
END = "<!-- end -->"

C_COLUMNS = 100  # of .clang-format
INTEGER_BYTES = {"u8": 1, "u16": 2, "u32": 4, "u64": 8}
assert INTEGER_BYTES.keys() == INTEGERS.keys()

ENUMS: tuple[tuple[type[enum.IntEnum | enum.IntFlag], str, str], ...] = (
    (messages.Region, "hb_region", "HB_REGION_"),
    (messages.RunFlag, "hb_run_flag", "HB_RUN_"),
    (messages.ClockSource, "hb_clock_source", "HB_CLOCK_"),
    (messages.ErrorCode, "hb_error_code", "HB_ERROR_"),
)

PREAMBLE = """\
/* Generated from hilbench/protocol/messages.py by hilbench/protocol/generate_c.py; do not edit.
 *
 * hb_encode_*() return the bytes written, or HB_NO_ROOM when they do not fit.
 * hb_decode_*() return false unless the payload is exactly one such message; text and tail fields
 * then point into the payload. Fields are little endian without padding, whatever the machine. */
#ifndef HB_PROTOCOL_H
#define HB_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

"""

HELPERS = """\
struct hb_text {
    const char *at; /* UTF-8, no terminator */
    uint8_t length;
};

struct hb_tail {
    const uint8_t *at;
    size_t length;
};

struct hb_writer {
    uint8_t *at;
    size_t left;
    bool ok;
};

struct hb_reader {
    const uint8_t *at;
    size_t left;
    bool ok;
};

static inline void hb_put_bytes(struct hb_writer *w, const void *bytes, size_t length) {
    if (!w->ok || length > w->left) {
        w->ok = false;
        return;
    }
    if (length > 0) {
        memcpy(w->at, bytes, length);
        w->at += length;
        w->left -= length;
    }
}

static inline void hb_put_text(struct hb_writer *w, struct hb_text text) {
    hb_put_bytes(w, &text.length, 1);
    hb_put_bytes(w, text.at, text.length);
}

static inline const uint8_t *hb_get_bytes(struct hb_reader *r, size_t length) {
    const uint8_t *at = r->at;
    if (!r->ok || length > r->left) {
        r->ok = false;
        return NULL;
    }
    r->at += length;
    r->left -= length;
    return at;
}

static inline void hb_get_blob(struct hb_reader *r, uint8_t *out, size_t length) {
    const uint8_t *at = hb_get_bytes(r, length);
    if (at != NULL) {
        memcpy(out, at, length);
    }
}

"""

PUT_GET = """\
static inline void hb_put_{kind}(struct hb_writer *w, {ctype} value) {{
    uint8_t bytes[{size}];
    for (size_t i = 0; i < {size}; ++i) {{
        bytes[i] = (uint8_t)(value >> (8 * i));
    }}
    hb_put_bytes(w, bytes, {size});
}}

static inline {ctype} hb_get_{kind}(struct hb_reader *r) {{
    {ctype} value = 0;
    const uint8_t *at = hb_get_bytes(r, {size});
    for (size_t i = 0; at != NULL && i < {size}; ++i) {{
        value = ({ctype})(value | ({ctype})(({ctype})at[i] << (8 * i)));
    }}
    return value;
}}

"""

# Shifting a uint8_t by 8 * i would be an int; one byte needs no loop.
PUT_GET_U8 = """\
static inline void hb_put_u8(struct hb_writer *w, uint8_t value) {
    hb_put_bytes(w, &value, 1);
}

static inline uint8_t hb_get_u8(struct hb_reader *r) {
    const uint8_t *at = hb_get_bytes(r, 1);
    return at != NULL ? at[0] : 0;
}

"""

GET_TEXT = """\
static inline struct hb_text hb_get_text(struct hb_reader *r) {
    struct hb_text text = {NULL, hb_get_u8(r)};
    text.at = (const char *)hb_get_bytes(r, text.length);
    return text;
}

"""


def snake(cls: type[Message]) -> str:
    """Return the C name of a message: ``HelloReply`` -> ``hello_reply``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()


def summary(cls: type) -> str:
    """Return the first docstring line without its full stop."""
    return (cls.__doc__ or "").splitlines()[0].rstrip(".")


def minimum_bytes(cls: type[Message]) -> int:
    """Return the payload bytes of a message whose texts and tail are empty."""
    sizes = INTEGER_BYTES | {"text": 1, "tail": 0}
    total = 0
    for kind in _fields(cls).values():
        total += sizes[kind] if kind in sizes else int(kind[4:])
    return total


def _fields(cls: type) -> dict[str, str]:
    return wire_types(cls)


def _field(name: str, kind: str) -> str:
    if kind in INTEGERS:
        return f"uint{kind[1:]}_t {name};"
    if kind.startswith("blob"):
        return f"uint8_t {name}[{kind[4:]}];"
    return f"struct hb_{kind} {name};"


def _put(name: str, kind: str) -> str:
    if kind.startswith("blob"):
        return f"hb_put_bytes(&w, m->{name}, {kind[4:]});"
    if kind == "tail":
        return f"hb_put_bytes(&w, m->{name}.at, m->{name}.length);"
    return f"hb_put_{kind}(&w, m->{name});"


def _get(name: str, kind: str) -> str:
    if kind.startswith("blob"):
        return f"hb_get_blob(&r, m->{name}, {kind[4:]});"
    if kind == "tail":
        return f"m->{name}.length = r.left;\n    m->{name}.at = hb_get_bytes(&r, r.left);"
    return f"m->{name} = hb_get_{kind}(&r);"


def _message(cls: type[Message]) -> str:
    name = snake(cls)
    fields = _fields(cls)
    title = f"/* {name.upper()}: {summary(cls)}. */\n"
    if not fields:
        return (
            f"{title}static inline bool hb_decode_{name}(size_t length) {{\n"
            "    return length == 0;\n}\n"
        )
    struct = "".join(f"    {_field(n, k)}\n" for n, k in fields.items())
    puts = "".join(f"    {_put(n, k)}\n" for n, k in fields.items())
    gets = "".join(f"    {_get(n, k)}\n" for n, k in fields.items())
    encode = f"static inline size_t hb_encode_{name}(uint8_t *out, size_t cap,"
    encode_last = f"const struct hb_{name} *m) {{"
    decode = f"static inline bool hb_decode_{name}(struct hb_{name} *m, const uint8_t *payload,"
    decode_last = "size_t length) {"
    return (
        f"{title}struct hb_{name} {{\n{struct}}};\n"
        f"enum {{ HB_{name.upper()}_BYTES = {minimum_bytes(cls)} }};\n\n"
        f"{_wrap(encode, encode_last)}\n"
        "    struct hb_writer w = {out, cap, true};\n"
        f"{puts}"
        "    return w.ok ? (size_t)(w.at - out) : HB_NO_ROOM;\n}\n\n"
        f"{_wrap(decode, decode_last)}\n"
        "    struct hb_reader r = {payload, length, true};\n"
        f"{gets}"
        "    return r.ok && r.left == 0;\n}\n"
    )


def _wrap(head: str, last: str) -> str:
    """Break a parameter list the way clang-format does at 100 columns."""
    if len(head) + 1 + len(last) <= C_COLUMNS:
        return f"{head} {last}"
    return f"{head}\n{' ' * (head.index('(') + 1)}{last}"


def _aligned(rows: list[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in rows)
    return "".join(f"#define {name:<{width}} {value}\n" for name, value in rows)


def header() -> str:
    """Return the text of hb_protocol.h."""
    out = [PREAMBLE]
    out.append(
        _aligned(
            [
                ("HB_PROTOCOL_VERSION", str(PROTOCOL_VERSION)),
                ("HB_HEADER_BYTES", str(OVERHEAD_BYTES - 4)),
                ("HB_CRC_BYTES", "4"),
                ("HB_MAX_PAYLOAD_BYTES", str(MAX_PAYLOAD_BYTES)),
                ("HB_NO_ROOM", "SIZE_MAX"),
                ("HB_GUARD_US", f"{GUARD_US}u"),
                ("HB_PATTERN", f"0x{int(PATTERN, 2):x}u /* first chip highest */"),
                ("HB_PATTERN_CHIPS", str(len(PATTERN))),
            ]
        )
        + "\n"
    )
    types = "".join(f"    HB_TYPE_{snake(m).upper()} = 0x{m.TYPE:02x},\n" for m in MESSAGES)
    out.append(f"enum hb_type {{\n{types}}};\n\n")
    for cls, name, prefix in ENUMS:
        rows = "".join(f"    {prefix}{m.name} = {m.value},\n" for m in cls)
        out.append(f"/* {summary(cls)}. */\nenum {name} {{\n{rows}}};\n\n")
    out += [HELPERS, PUT_GET_U8]
    out += [
        PUT_GET.format(kind=kind, ctype=f"uint{kind[1:]}_t", size=size)
        for kind, size in INTEGER_BYTES.items()
        if size > 1
    ]
    out.append(GET_TEXT)
    out += [_message(m) + "\n" for m in MESSAGES]
    out.append("#endif\n")
    return "".join(out)


def message_table() -> str:
    """Return the Markdown tables of all messages, field by field."""
    out = []
    for cls in MESSAGES:
        out.append(f"#### 0x{cls.TYPE:02X} {snake(cls).upper()}\n\n{summary(cls)}.\n")
        fields = _fields(cls)
        if not fields:
            out.append("No payload.\n")
            continue
        remarks = _remarks(cls)
        at: int | str = 0
        rows = ["| offset | field | type | meaning |", "|---|---|---|---|"]
        for name, kind in fields.items():
            rows.append(f"| {at} | `{name}` | {kind} | {remarks.get(name, '')} |")
            if kind in {"text", "tail"} or isinstance(at, str):
                at = "…"
            else:
                at += INTEGER_BYTES[kind] if kind in INTEGER_BYTES else int(kind[4:])
        out.append("\n".join(rows) + "\n")
    return "\n".join(out)


def enum_table(cls: type[enum.IntEnum | enum.IntFlag]) -> str:
    """Return the Markdown table of an enumeration."""
    remarks = _remarks(cls)
    rows = [f"| {m.value} | `{m.name}` | {remarks.get(str(m.name), '')} |" for m in cls]
    return "\n".join(["| value | name | meaning |", "|---|---|---|", *rows]) + "\n"


def _remarks(cls: type) -> dict[str, str]:
    """Return the comment behind each field: messages.py stays the one place that says it."""
    source = Path(messages.__file__).read_text(encoding="utf-8")
    body = source.split(f"\nclass {cls.__name__}(", 1)[1].split("\nclass ", 1)[0]
    pairs = re.findall(r"^    (\w+)\s*(?::|=)[^#\n]*#\s*(.+)$", body, re.MULTILINE)
    return {name: text.replace("|", "\\|") for name, text in pairs}


def specification(text: str) -> str:
    """Return PROTOCOL.md with its generated parts replaced."""
    parts = {"messages": message_table(), "version": f"Protocol version: **{PROTOCOL_VERSION}**\n"}
    parts |= {cls.__name__: enum_table(cls) for cls, _, _ in ENUMS}
    for name, part in parts.items():
        begin = BEGIN.format(name)
        head, rest = text.split(begin, 1)
        text = f"{head}{begin}\n{part}{END}{rest.split(END, 1)[1]}"
    return text


def main(arguments: list[str] | None = None) -> int:
    """Write or check the generated files; return the exit code."""
    parser = argparse.ArgumentParser(prog="generate_c", description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit 1 when a file is stale")
    check = parser.parse_args(arguments).check
    wanted = {HEADER: header()}
    if SPECIFICATION.exists():
        wanted[SPECIFICATION] = specification(SPECIFICATION.read_text(encoding="utf-8"))
    stale = [p for p, t in wanted.items() if not p.exists() or p.read_text(encoding="utf-8") != t]
    if check and stale:
        names = ", ".join(str(p.relative_to(FIRMWARE.parent)) for p in stale)
        print(
            f"{names} is not what messages.py says; run: python -m hilbench.protocol.generate_c",
            file=sys.stderr,
        )
        return 1
    for path in stale:
        path.write_text(wanted[path], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
