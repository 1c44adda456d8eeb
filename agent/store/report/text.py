# SPDX-License-Identifier: Apache-2.0
"""Text of others inside of a page: visible whatever it holds, and never markup."""

from __future__ import annotations

import base64
import binascii
import html
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

SECOND_NS = 1_000_000_000
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\x1b": "\\e"}
_MARKUP = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def visible(text: str) -> str:
    """`text` with what nobody can see, or what turns the direction of writing, escaped as in C.

    Bytes that are no UTF-8, kept as lone surrogates (PEP 383), become `\\xNN`.
    """
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escaped(character) for character in text)


def _escaped(character: str) -> str:
    code = ord(character)
    if character in _NAMED:
        return _NAMED[character]
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def markup(text: str) -> str:
    """`text` for the content of an element or a quoted attribute."""
    return html.escape(visible(text))


def island(value: Any) -> str:
    """JSON for a `<script type="application/json">`: ASCII without a character that HTML looks at.

    HTML, 13.2.5.4 "Script data state": only `<` leads out of it.
    """
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True)
    for character, escape in _MARKUP.items():
        text = text.replace(character, escape)
    return text


def utc(wall_ns: int) -> str:
    """`2026-01-01 03:12:07.123 UTC`; a dash for 0, which stands for unknown."""
    if not wall_ns:
        return "–"
    seconds, rest = divmod(wall_ns, SECOND_NS)
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return f"{wall_ns} ns"
    return f"{moment:%Y-%m-%d %H:%M:%S}.{rest // 1_000_000:03d} UTC"


def of_bytes(encoded: Any) -> str | None:
    """A text from `tracehound.raw`, its bad bytes as lone surrogates; None when it is no base64."""
    try:
        return base64.b64decode(encoded, validate=True).decode("utf-8", "surrogateescape")
    except (binascii.Error, ValueError, TypeError):
        return None


def with_bytes(fields: Mapping[str, str], own: Mapping[str, Any]) -> dict[str, str]:
    """`binary`, `arguments` and `cwd` of an exec with the bytes that were in them.

    `own` is what stands under `tracehound` of its record (docs/architecture.md).
    """
    found = dict(fields)
    raw = own.get("raw")
    if not isinstance(raw, Mapping):
        return found
    for name in ("binary", "cwd"):
        if name in raw:
            found[name] = of_bytes(raw[name]) or found[name]
    bad = raw.get("arguments")
    vector = own.get("arguments")
    if isinstance(bad, Mapping) and isinstance(vector, list):
        whole = [of_bytes(bad[str(i)]) or text if str(i) in bad else text for i, text in enumerate(vector)]
        found["arguments"] = " ".join(whole[1:])
    return found
