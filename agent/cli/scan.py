# SPDX-License-Identifier: Apache-2.0
"""Reads all of a log for the few lines that hold one of a few texts: at the speed of a search in memory.

Nearly all lines have to do with others. They are neither split off nor parsed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from agent.cli.when import as_log_time
from agent.log.entry import parse
from agent.log.opened import OpenedSegment
from agent.log.reader import LogReader
from agent.log.records import OWN_HEAD
from agent.log.segments import SegmentName, list_segments
from agent.log.window import Window

LineTest = Callable[[bytes], bool]
_ANCESTRY = b'"ancestry":'


class Scan:
    """One log and the part of it to look at. Raises LogUnavailable when it cannot be read."""

    def __init__(self, directory: Path, since_ns: int | None = None) -> None:
        last = LogReader(directory).last(1)
        self.end = str(last[0].record.get("time", "")) if last else ""
        """Time of the last record; empty when there is none."""
        self._directory = directory
        self._names = Window(since_ns=since_ns).wanted(list_segments(directory))
        self._since = as_log_time(since_ns) if since_ns is not None else ""

    def records(self, needles: Sequence[bytes], orphan: LineTest | None = None) -> Iterator[dict[str, Any]]:
        """Yields own records and events whose line holds a needle, oldest first.

        `needles` may grow meanwhile. `orphan` is asked for the other lines of logs whose events do not all
        carry their ancestry.
        """
        previous: SegmentName | None = None
        for name in self._names:
            for line in self._lines(name, needles, orphan):
                parsed = parse(line)
                if parsed is not None and parsed[0].get("time", "") >= self._since:
                    yield from _gap_before(parsed[0], previous)
                    yield parsed[0]
            previous = name

    def _lines(self, name: SegmentName, needles: Sequence[bytes], orphan: LineTest | None) -> Iterator[bytes]:
        try:
            segment = OpenedSegment(self._directory, name)
        except FileNotFoundError:
            return  # retention was faster
        try:
            for chunk in segment.chunks():
                segment.offset += len(chunk)
                if orphan is not None and not _has_all_ancestries(chunk):
                    yield from _tested(chunk, needles, orphan)
                else:
                    yield from lines_with(chunk, needles)
        finally:
            segment.close()


def lines_with(chunk: bytes, needles: Sequence[bytes]) -> Iterator[bytes]:
    """Own records and the lines of a chunk that hold a needle; `needles` may grow meanwhile."""
    following: dict[bytes, int] = {}
    position, end = 0, len(chunk)
    while position < end:
        nearest = end
        for needle in (OWN_HEAD, *needles):
            at = following.get(needle, -1)
            if at < position:
                at = chunk.find(needle, position)
                following[needle] = at = end if at < 0 else at
            nearest = min(nearest, at)
        if nearest == end:
            return
        start = max(chunk.rfind(b"\n", position, nearest) + 1, position)
        stop = chunk.find(b"\n", nearest)
        yield chunk[start : stop if stop >= 0 else end]
        position = stop + 1 if stop >= 0 else end


def _tested(chunk: bytes, needles: Sequence[bytes], orphan: LineTest) -> Iterator[bytes]:
    for line in chunk.split(b"\n"):
        wanted = line.startswith(OWN_HEAD) or any(needle in line for needle in needles)
        if wanted or (_ANCESTRY not in line and orphan(line)):
            yield line


def _has_all_ancestries(chunk: bytes) -> bool:
    """Whether every event of a chunk tells its ancestors. In texts of processes the quotes are escaped."""
    return chunk.count(b"\n") == chunk.count(OWN_HEAD) + chunk.count(_ANCESTRY)


def _gap_before(record: dict[str, Any], previous: SegmentName | None) -> Iterator[dict[str, Any]]:
    """A notice, as the log's reader makes them, when the segment before a segment is gone."""
    head = record.get("tracehound", {}).get("segment")
    if head and previous is not None and head.get("previous") not in (None, str(previous)):
        yield {"tracehound": {"notice": {"cause": "segment_removed", "after": str(previous)}}}
