# SPDX-License-Identifier: Apache-2.0
"""The closed segments that are there, as lines, as Parquet, or as both."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from agent.log.compaction import STORE_NAME, parquet_name
from agent.log.manifest import Manifest
from agent.log.marks import marks_path
from agent.log.packing import Packing
from agent.log.retention import ClosedSegment
from agent.log.segments import SegmentName, list_segments


class Kept:
    """Oldest first. `bytes` is the room that they take on disk."""

    def __init__(self, directory: Path) -> None:
        self.bytes = 0
        self.packing = Packing()
        self._directory = directory
        self._segments: deque[ClosedSegment] = deque()

    def __iter__(self) -> Iterator[ClosedSegment]:
        return iter(self._segments)

    def __len__(self) -> int:
        return len(self._segments)

    def adopt(self, live: Sequence[SegmentName], manifest: Manifest, now_ms: int) -> None:
        """Takes over what the runs before left; `now_ms` is wall-clock milliseconds. Raises OSError."""
        parquet = self._parquet_sizes(manifest)
        names = sorted({*live, *parquet})
        following = [*(name.created_ms for name in names[1:]), now_ms]
        for name, closed_ms in zip(names, following, strict=False):
            size = (self._directory / str(name)).stat().st_size if name in live else 0
            closed = manifest.closed.get(str(name))
            last, sha256 = (closed.last_sequence, closed.sha256) if closed else (None, "")
            self.add(ClosedSegment(name, size, closed_ms, last, sha256, parquet.get(name, 0)))
            if closed and name in parquet:
                self.packing.note(closed.bytes, parquet[name])

    def add(self, segment: ClosedSegment) -> None:
        """One more was closed: the newest."""
        self._segments.append(segment)
        self.bytes += segment.total

    def find(self, name: str) -> ClosedSegment | None:
        """By file name."""
        return next((segment for segment in self._segments if str(segment.name) == name), None)

    def change(self, old: ClosedSegment, new: ClosedSegment) -> None:
        """It has another form now."""
        self._segments[self._segments.index(old)] = new
        self.bytes += new.total - old.total
        if new.parquet_bytes and not old.parquet_bytes:
            self.packing.note(new.size, new.parquet_bytes)

    def remove(self, name: SegmentName) -> None:
        """It is gone."""
        gone = next(segment for segment in self._segments if segment.name == name)
        self._segments.remove(gone)
        self.bytes -= gone.total

    def unlink(self, segment: ClosedSegment) -> None:
        """Removes it in all its forms. Raises OSError."""
        marks_path(self._directory, segment.name).unlink(missing_ok=True)
        (self._directory / str(segment.name)).unlink(missing_ok=True)
        (self._directory / parquet_name(str(segment.name))).unlink(missing_ok=True)

    def unlink_lines(self, segment: ClosedSegment) -> None:
        """Removes the lines of one that has a Parquet file. Raises OSError."""
        marks_path(self._directory, segment.name).unlink(missing_ok=True)
        (self._directory / str(segment.name)).unlink(missing_ok=True)
        self.change(segment, segment._replace(size=0))

    def missing(self, newest: SegmentName | None) -> list[ClosedSegment]:
        """Those that somebody else removed, each told once; `newest` is the open segment. Raises OSError."""
        if not self._segments:
            return []
        lines, names = set(list_segments(self._directory)), [one.name for one in self._segments]
        gone = [
            one._replace(last_sequence=one.last_sequence or _last_before(one.name, after))
            for one, after in zip(list(self._segments), [*names[1:], newest], strict=True)
            if one.name not in lines and not (one.parquet_bytes and self._parquet(one.name).exists())
        ]
        for segment in gone:
            self.remove(segment.name)
        return gone

    def other_bytes(self) -> int:
        """Room of what lies beside the Parquet files: indexes and files in the making, in bytes."""
        try:
            with os.scandir(self._directory / STORE_NAME) as entries:
                return sum(_size(entry) for entry in entries if not entry.name.endswith(".parquet"))
        except OSError:
            return 0

    def _parquet(self, name: SegmentName) -> Path:
        return self._directory / parquet_name(str(name))

    def _parquet_sizes(self, manifest: Manifest) -> dict[SegmentName, int]:
        sizes = {}
        for segment in manifest.compacted.keys() - manifest.expired.keys():
            name = SegmentName.parse(segment)
            if name is not None and (path := self._parquet(name)).exists():
                sizes[name] = path.stat().st_size
        return sizes


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except OSError:
        return 0


def _last_before(name: SegmentName, after: SegmentName | None) -> int:
    return max(name.first_sequence, after.first_sequence - 1 if after is not None else 0)
