# SPDX-License-Identifier: Apache-2.0
"""Boot-clock stamps to wall-clock text.

The offset between the clocks is measured again and again, so suspend and clock steps shift no event that
happens after them (CLOCK_BOOTTIME, clock_gettime(2)).
"""

from __future__ import annotations

import time

SECOND_NS = 1_000_000_000
_TRIES = 3


class WallClock:
    """Converts boot-clock nanoseconds to RFC 3339 text. `measure` is called about once a second."""

    def __init__(self) -> None:
        self.offset_ns = 0
        self._second = -1
        self._prefix = ""
        self.measure()

    def measure(self, least_ns: int = 0) -> int:
        """Takes the offset anew, unless it moved by less than `least_ns`; returns by how many nanoseconds it
        moved (a clock step when large)."""
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
        second, fraction = divmod(boot_ns + self.offset_ns, SECOND_NS)
        if second != self._second:
            self._second = second
            self._prefix = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second))
        return f"{self._prefix}{fraction:09d}Z"


def _look() -> tuple[int, int]:
    """The offset between the clocks, and how wrong it may be: we can be put aside between two readings."""
    before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    wall = time.time_ns()
    after = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return wall - (before + after) // 2, after - before
