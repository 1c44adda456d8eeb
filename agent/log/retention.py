# SPDX-License-Identifier: Apache-2.0
"""Which closed segments have to go. Pure: the writer removes them and writes the `retention` records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from agent.log.segments import SegmentName
from agent.settings import LogSettings


class ClosedSegment(NamedTuple):
    """A segment that nothing is written to any more."""

    name: SegmentName
    """Its file name."""
    size: int
    """Its size in bytes."""
    closed_ms: int
    """Wall-clock milliseconds of its last write, or a little later."""
    last_sequence: int | None
    """Sequence number of its last line; None when that has to be read from the file."""


class Removal(NamedTuple):
    """A segment that retention removed."""

    name: str
    """Its file name."""
    first_sequence: int
    """Sequence number of its first line."""
    last_sequence: int
    """Sequence number of its last line; 0 when it could not be read."""
    size: int
    """Its size in bytes."""
    reason: str
    """`size` or `age`."""

    def content(self) -> dict[str, object]:
        """Content of the `retention` record."""
        return {
            "removed": self.name,
            "first_sequence": self.first_sequence,
            "last_sequence": self.last_sequence,
            "bytes": self.size,
            "reason": self.reason,
        }


def expired(
    closed: Iterable[ClosedSegment], total_bytes: int, now_ms: int, settings: LogSettings
) -> Iterator[tuple[ClosedSegment, str]]:
    """Yields (segment, reason) for the closed segments that have to go, oldest first.

    `closed` is ordered by age, `total_bytes` counts the open segment too, `now_ms` is wall-clock
    milliseconds. The first segment that may stay ends the search, so no hole arises in the middle.
    """
    oldest_ms = now_ms - settings.retention_seconds * 1000
    for segment in closed:
        if total_bytes > settings.retention_bytes:
            yield segment, "size"
        elif segment.closed_ms < oldest_ms:
            yield segment, "age"
        else:
            return
        total_bytes -= segment.size
