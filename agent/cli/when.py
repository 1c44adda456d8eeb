# SPDX-License-Identifier: Apache-2.0
"""Points in time on the command line: `10m` (ago), `14:30`, `2026-01-01T00:00:00Z`, `now`."""

from __future__ import annotations

import argparse
import datetime
import re
import time

from agent.configuration.units import parse_duration

SECOND_NS = 1_000_000_000
LATEST_NS = 1 << 62
"""In the year 2116: what is later counts as this, what is before 1970 as that."""
METAVAR = "TIME"
HELP = "a duration ago (10m, 2h30m), a time of today (14:30) or RFC 3339 (2026-01-01T00:00:00Z)"

_CLOCK = re.compile(r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?")
_FULL = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?:\.([0-9]{1,9}))?)?"
    r"(Z|[+-][0-9]{2}:?[0-9]{2})?",
    re.IGNORECASE,
)


def parse_when(text: str, now_ns: int | None = None) -> int:
    """Wall-clock nanoseconds. Without a zone, times are local. Raises argparse.ArgumentTypeError."""
    text = text.strip()
    now_ns = time.time_ns() if now_ns is None else now_ns
    if text == "now":
        return now_ns
    if _CLOCK.fullmatch(text):
        today = datetime.datetime.fromtimestamp(now_ns / SECOND_NS).date().isoformat()
        return parse_when(f"{today}T{text:0>5}" if len(text) <= 5 else f"{today}T{text:0>8}", now_ns)
    full = _FULL.fullmatch(text)
    try:
        wall_ns = _full(full) if full else now_ns - round(parse_duration(text) * SECOND_NS)
        return min(max(0, wall_ns), LATEST_NS)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time; write {HELP}") from None


def _full(match: re.Match[str]) -> int:
    date, clock, fraction, zone = match.groups()
    stamp = datetime.datetime.fromisoformat(f"{date}T{clock or '00:00'}{(zone or '').upper()}")
    return int(stamp.timestamp()) * SECOND_NS + int((fraction or "0").ljust(9, "0"))


def as_log_time(wall_ns: int) -> str:
    """The time as it stands in the log; such texts compare like the times that they stand for."""
    seconds, fraction = divmod(wall_ns, SECOND_NS)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{fraction:09d}Z"
