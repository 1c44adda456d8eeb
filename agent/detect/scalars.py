# SPDX-License-Identifier: Apache-2.0
"""Values of rules as modifiers take them, whatever YAML makes of them.

All values are texts in Sigma, and `CommandLine|contains: 4444` means the text; but YAML reads a number, which
pySigma's modifiers of texts refuse. Modifiers of numbers take what is written in quotes as well. Sigma
specification, "Detection", "General", and the appendix on modifiers.
"""

from __future__ import annotations

import re
from typing import Any

from agent.detect.documents import Item

NUMERIC = frozenset(("lt", "lte", "gt", "gte", "minute", "hour", "day", "week", "month", "year"))
"""Modifiers that take numbers."""
_LOGICAL = frozenset(("all", "neq"))
"""Modifiers that do not look at the value."""
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_LONGEST = 32
PERCENT = "\ue025"
"""Stands for `\\%` below `expand`, a percent sign that begins no placeholder, which pySigma does not know; a
character for private use. Sigma specification, "Placeholders"."""
_BOOLEANS = {"true": True, "yes": True, "false": False, "no": False}


def taken(key: str | None, item: Item) -> Any:
    """A scalar below a field with its modifiers (None: a keyword), for pySigma."""
    words = frozenset((key or "").split("|")[1:])
    if item.value is None:
        return None
    if words & NUMERIC:
        return _numeric(item)
    if "exists" in words and isinstance(item.value, str):
        return _BOOLEANS.get(item.value.casefold(), item.value)
    if isinstance(item.value, str):
        return item.value.replace(r"\%", PERCENT) if "expand" in words else item.value
    is_plain = isinstance(item.value, bool | int) and not words - _LOGICAL - {"exists"}
    return item.value if is_plain else item.written


def plain_detection(detection: Item) -> Any:
    """All of `detection`, for pySigma."""
    if not isinstance(detection.value, dict):
        return detection.plain()
    keys = ("condition", "timeframe")
    return {
        name: item.plain() if name in keys else _identifier(item) for name, item in detection.value.items()
    }


def number_of(text: str) -> int | float | None:
    """The number that a text is, as people write it; None for other texts."""
    if len(text) > _LONGEST or not _NUMBER.fullmatch(text):
        return None
    return int(text) if text.lstrip("+-").isdigit() else float(text)


def _numeric(item: Item) -> Any:
    number = number_of(item.value) if isinstance(item.value, str) else None
    return item.value if number is None else number


def _identifier(item: Item) -> Any:
    """A search identifier, or a part of one."""
    if isinstance(item.value, dict):
        return {key: _values(key, value) for key, value in item.value.items()}
    if isinstance(item.value, list):
        return [_identifier(part) for part in item.value]
    return taken(None, item)


def _values(key: str, item: Item) -> Any:
    if isinstance(item.value, list):
        return [_values(key, part) for part in item.value]
    return item.plain() if isinstance(item.value, dict) else taken(key, item)
