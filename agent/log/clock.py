# SPDX-License-Identifier: Apache-2.0
"""Boot-clock stamps to wall-clock text.

The offset between the clocks is measured again and again, so suspend and clock steps shift no event that
happens after them (CLOCK_BOOTTIME, clock_gettime(2)).
"""

from __future__ import annotations

import time

from agent.log.times import format_time

SECOND_NS = 1_000_000_000
_FRACTION = 9
"""Digits of nanoseconds below a second."""
_TRIES = 3
_SURE_NS = 20_000
"""One look is enough when nothing came between its two readings."""


class WallClock:
    """Converts boot-clock nanoseconds to RFC 3339 text. `measure` is called about once a second."""

    def __init__(self) -> None:
        self.offset_ns = 0
        self._second = "?"
        """Wall-clock seconds since 1970 that `_prefix` says."""
        self._prefix = ""
        self.measure()

    def measure(self, least_ns: int = 0) -> int:
        """Takes the offset anew, unless it moved by less than `least_ns`; returns by how many nanoseconds it
        moved (a clock step when large)."""
        offset, doubt_ns = _look()
        moved = offset - self.offset_ns
        if doubt_ns <= _SURE_NS and -doubt_ns <= moved <= doubt_ns:  # nearly always
            return 0
        offset, doubt_ns = min((_look() for _ in range(_TRIES)), key=lambda look: look[1])
        moved = offset - self.offset_ns
        if abs(moved) <= doubt_ns:  # as far as can be told it stands still, and so do the times of events
            return 0
        if abs(moved) >= least_ns:
            self.offset_ns = offset
        return moved

    def wall_ns(self, boot_ns: int) -> int:
        """Wall-clock nanoseconds of a boot-clock stamp."""
        return boot_ns + self.offset_ns

    def text(self, boot_ns: int) -> str:
        """RFC 3339 with nanoseconds and `Z`."""
        digits = str(boot_ns + self.offset_ns)  # cut as text: cheaper than to divide and to pad
        if digits[:-_FRACTION] != self._second:
            if boot_ns + self.offset_ns < SECOND_NS:
                return format_time(boot_ns + self.offset_ns)
            self._second = digits[:-_FRACTION]
            self._prefix = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(int(self._second)))
        return f"{self._prefix}{digits[-_FRACTION:]}Z"


def _look() -> tuple[int, int]:
    """The offset between the clocks, and how wrong it may be: we can be put aside between two readings."""
    before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    wall = time.time_ns()
    after = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return wall - (before + after) // 2, after - before
