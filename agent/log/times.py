# SPDX-License-Identifier: Apache-2.0
"""Wall-clock time as it stands in the log: RFC 3339, UTC, nanoseconds, `Z`."""

from __future__ import annotations

import calendar
import time
from functools import lru_cache

SECOND_NS = 1_000_000_000
MILLISECOND_NS = 1_000_000
_WITHOUT_FRACTION = "%Y-%m-%dT%H:%M:%S"
_FRACTION_AT = 20  # characters before the fraction: "2026-01-01T00:00:00."


@lru_cache(maxsize=64)
def _seconds_to_text(seconds: int) -> str:
    return time.strftime(_WITHOUT_FRACTION, time.gmtime(seconds))


@lru_cache(maxsize=256)
def _text_to_seconds(text: str) -> int:
    return calendar.timegm(time.strptime(text, _WITHOUT_FRACTION))


def format_time(wall_ns: int) -> str:
    """Wall-clock nanoseconds since 1970 as `2026-01-01T00:00:00.000000001Z`."""
    seconds, fraction = divmod(wall_ns, SECOND_NS)
    return f"{_seconds_to_text(seconds)}.{fraction:09d}Z"


def parse_time(text: str) -> int:
    """The wall-clock nanoseconds of a time in the log; the fraction may have 0 to 9 digits.

    Raises ValueError for anything that is not UTC with a `Z`.
    """
    if not text.endswith("Z"):
        raise ValueError(f"not a UTC time: {text!r}")
    fraction = text[_FRACTION_AT:-1]
    if len(fraction) > 9:
        raise ValueError(f"more than nanoseconds: {text!r}")
    return _text_to_seconds(text[: _FRACTION_AT - 1]) * SECOND_NS + int(fraction.ljust(9, "0"))
