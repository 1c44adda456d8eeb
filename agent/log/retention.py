# SPDX-License-Identifier: Apache-2.0
"""Which closed segments have to go. Pure: agent/log/upkeep.py removes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from agent.log.entry import Cursor
from agent.log.segments import SegmentName
from agent.settings import LogSettings


class ClosedSegment(NamedTuple):
    """A segment that nothing is written to any more."""

    name: SegmentName
    """Its file name."""
    size: int
    """Bytes of its lines on disk; 0 when they were removed because there is a Parquet file."""
    closed_ms: int
    """Wall-clock milliseconds of its last write, or a little later."""
    last_sequence: int | None
    """Sequence number of its last line; None when that has to be read from the file."""
    sha256: str = ""
    """SHA-256 of its bytes; empty when it was written before segments were chained."""
    parquet_bytes: int = 0
    """Size of its Parquet file; 0 when there is none."""
    settles_at: int | None = None
    """Bytes that it is going to take when its lines are compacted and gone; None: what it takes now."""

    @property
    def total(self) -> int:
        """Bytes on disk, in whatever form."""
        return self.size + self.parquet_bytes

    @property
    def settled(self) -> int:
        """Bytes that `retention_bytes` counts."""
        return self.total if self.settles_at is None else self.settles_at


class Follower(NamedTuple):
    """An exporter's place in the log."""

    name: str
    required: bool
    """Whether what it has not read is kept beyond `retention_bytes`."""
    place: Cursor | None
    """Place after what was answered for; None when there is none: it has read nothing."""

    def unread(self, segment: ClosedSegment) -> int:
        """How many lines of a segment it has not read."""
        first, last = segment.name.first_sequence, segment.last_sequence
        lines = max(1, last - first + 1) if last is not None else 1
        at = SegmentName.parse(self.place.segment) if self.place else None
        if self.place is None or at is None or at < segment.name:
            return lines
        if at > segment.name:
            return 0
        return max(0, (last if last is not None else first) - max(self.place.sequence, first - 1))


class Doomed(NamedTuple):
    """A segment that has to go."""

    segment: ClosedSegment
    reason: str
    """`size`, `hard_size` or `age`."""
    unread_by: Mapping[str, int]
    """Lines that a required exporter has not read, by its name; only those that have some."""


class Removal(NamedTuple):
    """A segment that retention removed."""

    name: str
    """Its file name."""
    first_sequence: int
    """Sequence number of its first line."""
    last_sequence: int
    """Sequence number of its last line; 0 when it could not be read."""
    size: int
    """Bytes on disk that it took."""
    reason: str
    """`size`, `hard_size` or `age`."""
    unread_by: Mapping[str, int] = MappingProxyType({})
    """Lines that a required exporter had not read, by its name."""

    def content(self) -> dict[str, object]:
        """Content of the `retention` record."""
        content: dict[str, object] = {
            "removed": self.name,
            "first_sequence": self.first_sequence,
            "last_sequence": self.last_sequence,
            "bytes": self.size,
            "reason": self.reason,
        }
        return content | ({"unread_by": dict(self.unread_by)} if self.unread_by else {})


def hard_bytes(settings: LogSettings) -> int:
    """The size that nothing may keep the log above, in bytes."""
    return 2 * settings.retention_bytes if settings.hard_bytes is None else settings.hard_bytes


def expired(
    closed: Iterable[ClosedSegment],
    total_bytes: int,
    now_ms: int,
    settings: LogSettings,
    followers: Sequence[Follower] = (),
    settled_bytes: int | None = None,
) -> Iterator[Doomed]:
    """Yields the closed segments that have to go, oldest first.

    `closed` is ordered by age, `total_bytes` counts the open segment and indexes too, `settled_bytes` is what
    it comes to when everything is compacted (None: the same), `now_ms` is wall-clock milliseconds. The first
    segment that may stay ends the search, so no hole arises in the middle. `retention_bytes` is for what the
    log settles at: a flood of lines that shrink within minutes must not push out what happened before it.
    `hard_bytes` is for what lies on the disk. Age counts for more than any exporter; a required one keeps a
    segment above `retention_bytes`.
    """
    oldest_ms, hard = now_ms - settings.retention_seconds * 1000, hard_bytes(settings)
    settled_bytes = total_bytes if settled_bytes is None else settled_bytes
    required = [follower for follower in followers if follower.required]
    for segment in closed:
        unread = {one.name: count for one in required if (count := one.unread(segment))}
        if segment.closed_ms < oldest_ms:
            yield Doomed(segment, "age", unread)
        elif settled_bytes > settings.retention_bytes and not unread:
            yield Doomed(segment, "size", unread)
        elif total_bytes > hard:
            yield Doomed(segment, "hard_size", unread)
        else:
            return
        total_bytes -= segment.total
        settled_bytes -= segment.settled


def superfluous(
    closed: Iterable[ClosedSegment],
    total_bytes: int,
    settings: LogSettings,
    followers: Sequence[Follower] = (),
) -> Iterator[ClosedSegment]:
    """Yields the segments whose lines may go because they stand in a Parquet file, oldest first.

    Exporters read lines: lines that one of them has not read stay while there is room, those that a required
    one has not read stay up to `hard_bytes`.
    """
    hard = hard_bytes(settings)
    for segment in closed:
        if not (segment.size and segment.parquet_bytes):
            continue
        behind = [follower for follower in followers if follower.unread(segment)]
        limit = hard if any(one.required for one in behind) else settings.retention_bytes
        if not behind or total_bytes > limit:
            total_bytes -= segment.size
            yield segment
