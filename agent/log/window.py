# SPDX-License-Identifier: Apache-2.0
"""Which records a reader wants, and which segments cannot hold any of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from agent.log.entry import LineTest
from agent.log.segments import SegmentName
from agent.log.times import MILLISECOND_NS, SECOND_NS, parse_time

LATE_NS = 60 * SECOND_NS
"""How much later than it happened an event may stand in the log and still be found by `until`."""


@dataclass(frozen=True, slots=True)
class Window:
    """Times are wall-clock nanoseconds, both ends included; None: no limit."""

    since_ns: int | None = None
    until_ns: int | None = None
    test: LineTest | None = None
    """A test of raw lines, before they are parsed."""

    def holds(self, record: dict[str, Any]) -> bool:
        """Whether the record's time is inside; a record without a time is."""
        if self.since_ns is None and self.until_ns is None:
            return True
        time_ns = _time_of(record)
        if time_ns is None:
            return True
        after = self.since_ns is None or time_ns >= self.since_ns
        return after and (self.until_ns is None or time_ns <= self.until_ns)

    def wanted(self, names: list[SegmentName]) -> list[SegmentName]:
        """Without the first segments that cannot hold a wanted record: they end before `since`."""
        if self.since_ns is None:
            return names
        since_ms = (self.since_ns - SECOND_NS) // MILLISECOND_NS
        past = sum(1 for _, following in pairwise(names) if following.created_ms <= since_ms)
        return names[past:]

    def is_past(self, name: SegmentName, head: dict[str, Any] | None) -> bool:
        """Whether a segment begins so late that neither it nor a later one can hold a wanted record."""
        if self.until_ns is None:
            return False
        named_ns = name.created_ms * MILLISECOND_NS
        begun_ns = _time_of(head) if head is not None else None
        # After the clock was set back, names run ahead of the times inside.
        return min(named_ns, begun_ns or named_ns) > self.until_ns + LATE_NS


def _time_of(record: dict[str, Any]) -> int | None:
    try:
        return parse_time(record["time"])
    except (KeyError, ValueError, AttributeError):
        return None
