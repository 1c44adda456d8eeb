# SPDX-License-Identifier: Apache-2.0
"""From what somebody wrote to a value of the right type, whatever layer it came from."""

from __future__ import annotations

import math
import os
import re
from typing import Any, NamedTuple

from agent.configuration.keys import Key
from agent.configuration.units import format_duration, format_size, parse_duration, parse_size

_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})
_COUNT = re.compile(r"[+-]?(?:0|[1-9][0-9_]*)")


class Raw(NamedTuple):
    """One value as written."""

    text: str
    """The characters; empty for lists and null."""
    form: str
    """`text`, `number`, `bool`, `null`, `list` or `mapping` as YAML sees it; `untyped` outside of YAML."""
    items: tuple[Raw, ...] = ()
    """The elements of a list."""
    where: str = ""
    """`file:line`, `environment NAME` or `flag --name`."""


def untyped(text: str, where: str) -> Raw:
    """A value from the environment or the command line, which know only text."""
    return Raw(text, "untyped", (), where)


def convert(key: Key, raw: Raw) -> Any:
    """The value of `key`. Raises ValueError with the offending text, the reason and the way out."""
    value = _read(key, raw)
    try:
        key.rule.check(value)
    except ValueError as error:
        raise ValueError(f"{shorten(raw.text or show(key, value))} {error}") from None
    return value


def shorten(text: str, limit: int = 80) -> str:
    """Offending text for a message: printable, quoted where that helps, at most `limit` characters."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return cut if cut and cut.isprintable() and " " not in cut else repr(cut)


def _read(key: Key, raw: Raw) -> Any:
    if key.optional and (raw.form == "null" or (raw.form == "untyped" and not raw.text)):
        return None
    if key.kind == "list":
        return _read_list(key, raw)
    if raw.form == "null":
        raise ValueError("has no value; write one or remove the line")
    if raw.form in ("list", "mapping"):
        raise ValueError(f"is a {raw.form}, expected {_EXPECTED[key.kind]}")
    try:
        return _SCALARS[key.kind](key, raw)
    except ValueError as error:
        raise ValueError(f"{shorten(raw.text)} {error}") from None


def _read_list(key: Key, raw: Raw) -> tuple[str, ...]:
    if raw.form == "untyped":
        parts = (part.strip() for part in raw.text.split(","))
        return tuple(_absolute(key, part) for part in parts if part)
    if raw.form != "list":
        raise ValueError(f"{shorten(raw.text)} is not a list; write [{raw.text}]")
    return tuple(_read_item(key, item) for item in raw.items)


def _read_item(key: Key, item: Raw) -> str:
    try:
        return _text(key, item)
    except ValueError as error:
        raise ValueError(f"holds {shorten(item.text)}, which {error}") from None


def _bool(_key: Key, raw: Raw) -> bool:
    word = raw.text.lower()
    if raw.form in ("bool", "untyped") and word in _TRUE | _FALSE:
        return word in _TRUE
    raise ValueError("is not true or false")


def _count(_key: Key, raw: Raw) -> int:
    if not _COUNT.fullmatch(raw.text):
        raise ValueError("is not a whole number")
    return int(raw.text)


def _number(_key: Key, raw: Raw) -> float:
    try:
        value = float(raw.text)
    except ValueError:
        raise ValueError("is not a number") from None
    if not math.isfinite(value):
        raise ValueError("is not a finite number")
    return value


def _size(_key: Key, raw: Raw) -> int:
    return parse_size(raw.text)


def _duration(key: Key, raw: Raw) -> float | int:
    value = parse_duration(raw.text)
    if not key.whole:
        return value
    if value != int(value):
        raise ValueError("is not a whole number of seconds")
    return int(value)


def _text(key: Key, raw: Raw) -> str:
    if raw.form not in ("text", "untyped"):
        raise ValueError(f'is read as a {raw.form} by YAML; write it in quotes: "{raw.text}"')
    return _absolute(key, raw.text) if raw.form == "untyped" else raw.text


def _absolute(key: Key, text: str) -> str:
    """Relative paths outside of files are relative to where the command was called."""
    return os.path.abspath(text) if key.rule.is_path and text else text  # noqa: PTH100 (text, not a Path)


_SCALARS = {
    "bool": _bool,
    "count": _count,
    "number": _number,
    "size": _size,
    "duration": _duration,
    "text": _text,
}
_EXPECTED = {
    "bool": "true or false",
    "count": "a whole number",
    "number": "a number",
    "size": "a size such as 64MiB",
    "duration": "a duration such as 30s",
    "text": "text",
}


def show(key: Key, value: Any) -> str:
    """A value as people write it; reading it back gives the same value."""
    if value is None:
        return "null"
    if key.kind == "size":
        return format_size(value)
    if key.kind == "duration":
        return format_duration(value)
    if key.kind == "list":
        return "[" + ", ".join(value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if value != "" else '""'
