# SPDX-License-Identifier: Apache-2.0
"""The chain of segments in the log directory: the open one, the closed ones, and the directory itself."""

from __future__ import annotations

import grp
import os
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from agent.log.disk import SegmentFile, give_to_group
from agent.log.lock import DirectoryLock
from agent.log.records import SegmentFacts, own_line, segment_content
from agent.log.recovery import Recovered, read_end
from agent.log.retention import ClosedSegment, Removal, expired
from agent.log.segments import UNPUBLISHED, SegmentName, list_segments, next_name
from agent.log.times import MILLISECOND_NS, parse_time
from agent.settings import LogSettings

MOST_UNSYNCED = 16
"""Closed segments that may wait for their last sync with their file descriptor open."""


class SegmentChain:
    """Files only: it knows neither queues nor the state of the disk; errors are raised as OSError."""

    def __init__(self, settings: LogSettings, facts: SegmentFacts) -> None:
        self.directory = Path(settings.dir)
        self.file: SegmentFile | None = None
        self.name: SegmentName | None = None
        self.last_name: SegmentName | None = None
        self.closed: deque[ClosedSegment] = deque()
        self._closed_bytes = 0
        self.settings = settings
        self._facts = facts
        self._lock = DirectoryLock(self.directory)
        self._gid = _group_id(settings.group)
        self._unsynced: list[SegmentFile] = []
        self._new_names = False
        self._seen_ms = 0

    def take_directory(self) -> None:
        """Makes the directory when it is absent and locks it. Raises OSError or AlreadyRunning."""
        try:
            self.directory.mkdir(mode=0o750, parents=True)
        except FileExistsError:
            pass
        else:
            self.directory.chmod(0o750)  # the umask may have taken the group's right
            self._give_directory()
        self._lock.take()

    def adopt(self, recovered: Recovered, now_ms: int) -> None:
        """Takes over the segments of the runs before; `now_ms` is wall-clock milliseconds."""
        following = [*(name.created_ms for name in recovered.segments[1:]), now_ms]
        for name, closed_ms in zip(recovered.segments, following, strict=False):
            size = (self.directory / str(name)).stat().st_size
            self._add_closed(ClosedSegment(name, size, closed_ms, None))
            self.last_name = name
            self._seen_ms = name.created_ms
        if recovered.last is not None:
            self.saw(_time_of(recovered.last))

    def begin(self, sequence: int, wall_ns: int) -> SegmentFile:
        """Closes the open segment, if any, and begins a new one whose `segment` record has this number.

        Raises OSError; then everything is as it was before. The new file gets its name when its first
        line stands in it: readers take that name for the sign that the segment before is complete.
        """
        name = next_name(wall_ns // MILLISECOND_NS, self._seen_ms, sequence)
        content = segment_content(self._facts, str(self.last_name) if self.last_name else None)
        head, tail = own_line("segment", content, self._facts.node_name, wall_ns)
        file = SegmentFile(self.directory / f"{name}{UNPUBLISHED}", self._gid)
        try:
            error = file.append(b"%b%d%b" % (head, sequence, tail), 1)
            if error is not None:
                raise error
            file.rename(self.directory / str(name))
        except OSError:
            file.remove()
            raise
        self._retire(name.created_ms, sequence - 1)
        self.file, self.name, self.last_name = file, name, name
        self._new_names = True
        self.saw(wall_ns)
        self._seen_ms = max(self._seen_ms, name.created_ms)
        return file

    def saw(self, wall_ns: int) -> None:
        """Notes the time (wall-clock nanoseconds): later segments sort after it, whatever the clock does."""
        self._seen_ms = max(self._seen_ms, wall_ns // MILLISECOND_NS)

    def abandon(self) -> None:
        """Lets go of an open segment that is not in the directory any more."""
        if self.file is not None:
            self.file.close()
        self.file = self.name = None

    def sync(self) -> None:
        """Forces to disk what was written, closed segments and names included. Raises OSError."""
        while self._unsynced:
            file = self._unsynced.pop()
            try:
                file.sync()
            finally:
                file.close()
        if self.file is not None:
            self.file.sync()
        if self._new_names:
            self._new_names = False
            _sync_directory(self.directory)

    def retain(self, now_ms: int) -> list[Removal]:
        """Removes the closed segments that have to go (`now_ms`: wall-clock milliseconds)."""
        open_bytes = self.file.size if self.file is not None else 0
        doomed = list(expired(self.closed, self._closed_bytes + open_bytes, now_ms, self.settings))
        removals = []
        for segment, reason in doomed:
            last = self._last_sequence(segment)
            try:
                (self.directory / str(segment.name)).unlink(missing_ok=True)
            except OSError:
                break
            self._forget_first()
            name = segment.name
            removals.append(Removal(str(name), name.first_sequence, last, segment.size, reason))
        return removals

    def missing(self) -> list[ClosedSegment]:
        """Closed segments that somebody else removed; each is told once. Raises OSError."""
        if not self.closed:
            return []
        present = set(list_segments(self.directory))
        names = [segment.name for segment in self.closed]
        following = [*names[1:], self.name]
        gone = [
            segment._replace(last_sequence=segment.last_sequence or _last_before(segment.name, after))
            for segment, after in zip(self.closed, following, strict=True)
            if segment.name not in present
        ]
        if gone:
            self.closed = deque(segment for segment in self.closed if segment.name in present)
            self._closed_bytes = sum(segment.size for segment in self.closed)
        return gone

    def close(self) -> None:
        """Gives up files and lock, without a sync."""
        for file in self._unsynced:
            file.close()
        self._unsynced.clear()
        self.abandon()
        self._lock.close()

    def _retire(self, closed_ms: int, last_sequence: int) -> None:
        if self.file is None or self.name is None:
            return
        self._add_closed(ClosedSegment(self.name, self.file.size, closed_ms, last_sequence))
        if self.settings.fsync_seconds < 0 or len(self._unsynced) >= MOST_UNSYNCED:
            self.file.close()
        else:
            self._unsynced.append(self.file)

    def _add_closed(self, segment: ClosedSegment) -> None:
        self.closed.append(segment)
        self._closed_bytes += segment.size

    def _forget_first(self) -> None:
        self._closed_bytes -= self.closed.popleft().size

    def _last_sequence(self, segment: ClosedSegment) -> int:
        if segment.last_sequence is not None:
            return segment.last_sequence
        try:
            return read_end(self.directory / str(segment.name)).sequence
        except OSError:
            return 0

    def _give_directory(self) -> None:
        if self._gid is None:
            return
        fd = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            give_to_group(fd, self._gid)
        finally:
            os.close(fd)


def _last_before(name: SegmentName, after: SegmentName | None) -> int:
    return max(name.first_sequence, after.first_sequence - 1 if after is not None else 0)


def _time_of(record: Mapping[str, object]) -> int:
    try:
        return parse_time(str(record.get("time", "")))
    except ValueError:
        return 0


def _group_id(name: str) -> int | None:
    try:
        return grp.getgrnam(name).gr_gid if name else None
    except KeyError:
        return None


def _sync_directory(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
