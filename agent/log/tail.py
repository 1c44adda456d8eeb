# SPDX-License-Identifier: Apache-2.0
"""A place in the log that moves on: reads what is there, follows rotation, tells of what went missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from agent.log.entry import Corrupt, Cursor, Entry, is_whole, parse, sequence_in
from agent.log.opened import OpenedSegment
from agent.log.segments import SegmentName, list_segments
from agent.log.window import Window

T = TypeVar("T")


class Chunk(NamedTuple):
    """Whole lines that follow each other in a segment, not looked at."""

    segment: str
    """File name of their segment."""
    offset: int
    """Bytes of the segment before the first one."""
    lines: list[bytes]
    """Without their newlines; some may be no records."""
    boot_id: str
    """Boot that the segment belongs to; empty when its head is damaged."""


class Tail:
    """Reads on from a place. One iteration at a time; needs neither an agent nor a lock.

    `report` is called for every piece of the log that is not a record.
    """

    def __init__(
        self, directory: Path, window: Window, start: Cursor | None, report: Callable[[Corrupt], None]
    ) -> None:
        self.ended = False
        """Whether the end of the window (`until`) was passed."""
        self._directory = directory
        self._window = window
        self._report = report
        self._segment: OpenedSegment | None = None
        self._place = SegmentName.parse(start.segment) if start else None
        self._offset = start.offset if start else 0
        self._sequence = start.sequence if start else 0
        self._newest: SegmentName | None = None
        self._boot: str | None = None
        self._is_read = False  # the segment at `_place` was read to its end

    @property
    def cursor(self) -> Cursor:
        """The place after what was read so far."""
        offset = self._segment.offset if self._segment is not None else self._offset
        return Cursor(str(self._place or ""), offset, self._sequence)

    def entries(self) -> Iterator[Entry]:
        """Yields what there is now; call it again for what has come since.

        A directory that is not there reads as an empty one. Raises OSError when the log may not be read.
        """
        return self._walk(self._read)

    def chunks(self) -> Iterator[Chunk | Entry]:
        """The same without parsing: lines as they are, and notices. The window's times and types do not
        count; `cursor` is the place after the chunk that was yielded last."""
        return self._walk(self._read_raw)

    def _walk(self, read: Callable[[OpenedSegment], Iterator[T]]) -> Iterator[T | Entry]:
        while not self.ended:
            notice = self._enter() if self._segment is None else None
            if notice is not None:
                yield notice
            segment = self._segment
            if segment is None:
                return
            yield from read(segment)
            if not self._is_closed(segment.name):
                return
            yield from read(segment)  # what was written between our last look and the rotation
            if segment.size() > segment.offset:
                self._damaged(segment, segment.offset, segment.size() - segment.offset)
            self.close()
            self._is_read = True

    def close(self) -> None:
        """Closes the open segment; `entries` opens it again."""
        if self._segment is not None:
            self._offset = self._segment.offset
            self._segment.close()
            self._segment = None

    def _read(self, segment: OpenedSegment) -> Iterator[Entry]:
        test, holds, name = self._window.test, self._window.holds, str(segment.name)
        for chunk in segment.chunks():
            at = segment.offset
            if not chunk.endswith(b"\n"):
                self._damaged(segment, at, len(chunk))
                continue
            for line in chunk[:-1].split(b"\n"):
                begin, at = at, at + len(line) + 1
                if test is not None and not test(line) and is_whole(line):
                    continue
                parsed = parse(line)
                if parsed is None:
                    self._damaged(segment, begin, at - begin)
                    continue
                record, self._sequence = parsed
                segment.offset = at
                if holds(record):
                    yield Entry(record, line, name, at, self._sequence)
            segment.offset = at
            self._sequence = sequence_in(line) or self._sequence

    def _read_raw(self, segment: OpenedSegment) -> Iterator[Chunk]:
        for chunk in segment.chunks():
            at = segment.offset
            if not chunk.endswith(b"\n"):
                self._damaged(segment, at, len(chunk))
                continue
            lines = chunk[:-1].split(b"\n")
            segment.offset = at + len(chunk)
            self._sequence = sequence_in(lines[-1]) or self._sequence
            yield Chunk(str(segment.name), at, lines, self._boot or "")

    def _enter(self) -> Entry | None:
        if self._place is not None and not self._is_read and self._resume(self._place):
            return None
        for name in self._following(self._place):
            try:
                segment = OpenedSegment(self._directory, name)
            except FileNotFoundError:
                continue  # retention was faster
            head = segment.head()
            self.ended = self._window.is_past(name, head)
            if self.ended or (not segment.has_line() and not self._is_closed(name)):
                segment.close()
                return None
            notice = self._notice(name, head)
            self._segment, self._place, self._is_read = segment, name, False
            self._boot = _boot_of(head)
            return notice
        return None

    def _resume(self, name: SegmentName) -> bool:
        try:
            segment = OpenedSegment(self._directory, name, self._offset)
        except FileNotFoundError:
            return False
        skipped = segment.align()
        self._segment, self._boot = segment, _boot_of(segment.head())
        if skipped:
            self._damaged(segment, segment.offset - skipped, skipped)
        return True

    def _is_closed(self, name: SegmentName) -> bool:
        """Whether another segment follows; one look at the directory serves until its newest one."""
        return (self._newest is not None and self._newest > name) or bool(self._following(name))

    def _following(self, place: SegmentName | None) -> list[SegmentName]:
        try:
            names = list_segments(self._directory)
        except FileNotFoundError:
            return []
        self._newest = names[-1] if names else None
        if place is None:
            return self._window.wanted(names)
        return [name for name in names if name > place]

    def _notice(self, name: SegmentName, head: dict[str, Any] | None) -> Entry | None:
        """Tells that records between the place so far and the segment `name` are gone; None if not."""
        if self._place is None:
            return None
        previous = head["tracehound"]["segment"].get("previous") if head else str(self._place)
        expected = self._sequence + 1
        if previous == str(self._place) and (self._is_read or name.first_sequence == expected):
            return None
        content: dict[str, object] = {
            "cause": "segment_removed",
            "after": str(self._place),
            "segment": str(name),
        }
        same_boot = self._boot is None or self._boot == _boot_of(head)
        if same_boot and name.first_sequence > expected:
            content |= {"from_sequence": expected, "to_sequence": name.first_sequence - 1}
        return Entry({"tracehound": {"notice": content}}, b"", str(name), 0, self._sequence)

    def _damaged(self, segment: OpenedSegment, offset: int, size: int) -> None:
        segment.offset = max(segment.offset, offset + size)
        self._report(Corrupt(str(segment.name), offset, size))


def _boot_of(head: dict[str, Any] | None) -> str | None:
    return head["tracehound"]["segment"].get("boot_id") if head else None
