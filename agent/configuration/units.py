# SPDX-License-Identifier: Apache-2.0
"""Sizes and durations as people write them: `64MiB`, `1h30m`.

Sizes are bytes, durations are seconds. Both readers raise ValueError with a message that names the way
out; both formatters write something that the readers accept.
"""

from __future__ import annotations

import re

_BINARY = {"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40}
_SHORT_BINARY = {"ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30, "ti": 1 << 40}
_DECIMAL = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_SIZES = {**_BINARY, **_SHORT_BINARY, **_DECIMAL}
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}

_SIZE = re.compile(r"([+-]?[0-9][0-9_]*(?:\.[0-9]+)?)\s*([A-Za-z]*)")
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h|d|w)\s*")
_NUMBER = re.compile(r"[+-]?(?:0|[1-9][0-9_]*)(?:\.[0-9]+)?")


def parse_size(text: str) -> int:
    """Bytes of `64MiB`, `64Mi`, `1.5 GiB`, `10MB` (decimal) or a plain number."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError("is not a size; write for example 64MiB or a number of bytes")
    number, unit = match.groups()
    factor = _SIZES.get(unit.lower(), 1 if not unit else 0)
    if factor == 0:
        raise ValueError(f"has the unknown unit {unit!r}; {_closest_size(number, unit)}")
    size = float(number.replace("_", "")) * factor if "." in number else int(number) * factor
    if size != int(size):
        raise ValueError("is not a whole number of bytes")
    return int(size)


def _closest_size(number: str, unit: str) -> str:
    """The advice for a unit that is none: `64M` could mean two things, so it is refused."""
    letter = unit[0].lower()
    if letter in "kmgt":
        return f"did you mean {number}{letter.upper()}iB?"
    return "units are KiB, MiB, GiB, TiB (1024) and kB, MB, GB, TB (1000)"


def parse_duration(text: str) -> float:
    """Seconds of `30s`, `1h30m`, `500ms`, `14d` or a plain number."""
    text = text.strip()
    if _NUMBER.fullmatch(text):
        return float(text.replace("_", ""))
    sign, rest = (-1.0, text[1:]) if text.startswith("-") else (1.0, text)
    seconds, position = 0.0, 0
    while match := _DURATION_PART.match(rest, position):
        seconds += float(match[1]) * _SECONDS[match[2]]
        position = match.end()
    if not rest or position != len(rest):
        raise ValueError("is not a duration; write for example 30s, 10m, 1h30m, 14d or a number of seconds")
    return sign * seconds


def format_size(size: int) -> str:
    """The shortest exact spelling of a number of bytes: 67108864 is `64MiB`, 1000 is `1000`."""
    for unit, factor in (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


def format_duration(seconds: float) -> str:
    """The shortest exact spelling of a duration: 3600 is `1h`, 0.25 is `0.25s`."""
    if seconds <= 0:
        return f"{seconds:g}" + ("s" if seconds else "")
    for unit, factor in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds % factor == 0:
            return f"{int(seconds // factor)}{unit}"
    return f"{seconds:.9g}s"


def human_size(size: float) -> str:
    """A rough size for people: `1.4 MiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size) < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def human_duration(seconds: float) -> str:
    """A rough duration for people: `12ms`, `3.4s`, `2m05s`, `3h12m`, `4d03h`."""
    if seconds < 1:
        return f"{max(seconds, 0) * 1000:.0f}ms"
    if seconds < 60:
        return f"{seconds:.1f}s"
    whole = int(seconds)
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02}h"
