# SPDX-License-Identifier: Apache-2.0
"""Names that others chose: bounded, and without characters that do something to a terminal or a log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

NAME = 253
"""Characters of a name, RFC 1123 as Kubernetes applies it."""
IMAGE = 512
"""Characters of an image's name or digest."""
VALUE = 256
"""Characters of a label's value; Kubernetes' have at most 63, other runtimes' any number."""
ANNOTATION = 1024
"""Characters of an annotation's value; Kubernetes' have up to 256 KiB."""
ENTRIES = 64
"""Labels or annotations of one thing."""


def clean(text: object, most: int = NAME) -> str:
    """One line of at most `most` characters. What is not printable (controls, turns of the writing
    direction, halves of surrogates) are written as \\x.. or \\u....; anything that is no text is empty."""
    if not isinstance(text, str):
        return ""
    cut = text if len(text) <= most else text[: most - 1] + "…"
    return cut if cut.isprintable() else "".join(_shown(character) for character in cut)


def clean_map(found: object, most: int = VALUE) -> dict[str, str]:
    """Labels; at most ENTRIES, the first ones by name."""
    if not isinstance(found, Mapping):
        return {}
    pairs = ((clean(key, 317), clean(value, most)) for key, value in found.items())
    return dict(sorted(pair for pair in pairs if pair[0])[:ENTRIES])


def allowed(found: object, patterns: Iterable[str]) -> dict[str, str]:
    """Annotations whose names fit one of the patterns."""
    wanted = tuple(patterns)
    if not wanted or not isinstance(found, Mapping):
        return {}
    fits = {
        key: value
        for key, value in found.items()
        if any(fnmatchcase(str(key), pattern) for pattern in wanted)
    }
    return clean_map(fits, ANNOTATION)


def without_empty(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields that say something."""
    return {key: value for key, value in fields.items() if value not in (None, "", {}, [], False)}


def _shown(character: str) -> str:
    if character.isprintable():
        return character
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
