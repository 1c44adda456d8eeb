# SPDX-License-Identifier: Apache-2.0
"""Times of the log (RFC 3339, UTC) for people: in the local time zone, and as differences."""

from __future__ import annotations

import calendar
import time

MILLISECONDS_END = 23
"""`2026-01-01T00:00:00.123` is this long."""


def _epoch(text: str) -> int:
    """Seconds since 1970 of the first 19 characters of a time in the log. ValueError when it is none."""
    return calendar.timegm(
        (int(text[:4]), int(text[5:7]), int(text[8:10]), int(text[11:13]), int(text[14:16]), int(text[17:19]))
    )


def seconds_between(start: str, end: str) -> float | None:
    """Seconds from `start` to `end`, both times of the log; None when one of them is not a time."""
    try:
        difference = float(end[19:-1] or 0) - float(start[19:-1] or 0)
        if start[:17] == end[:17]:
            return difference + int(end[17:19]) - int(start[17:19])
        return difference + _epoch(end) - _epoch(start)
    except ValueError:
        return None


class Clock:
    """Turns times of the log into local ones; neighbours in time share the work."""

    def __init__(self, full: bool = False) -> None:
        self._full = full
        """Date and zone on every line; else the date only when it is not today's."""
        self._today = time.localtime()[:3]
        self._second = ""
        self._local = ""
        self._zone = ""

    def __call__(self, text: str) -> str:
        """`21:18:46.195`; the text itself when it is not a time."""
        if text[:19] != self._second:
            try:
                self._set(text)
            except (ValueError, OverflowError):
                return ascii(text)[1:-1]
        fraction = text[20:MILLISECONDS_END]
        return f"{self._local}.{fraction if fraction.isdecimal() else '000'}{self._zone}"

    def _set(self, text: str) -> None:
        local = time.localtime(_epoch(text))
        if self._full:
            pattern = "%Y-%m-%dT%H:%M:%S"
        else:
            pattern = "%H:%M:%S" if local[:3] == self._today else "%m-%d %H:%M:%S"
        self._local = time.strftime(pattern, local)
        self._zone = time.strftime("%z", local) if self._full else ""
        self._second = text[:19]
