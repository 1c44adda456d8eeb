# SPDX-License-Identifier: Apache-2.0
"""The writing side of the manifest, for who holds the lock of the log directory.

What the disk refuses waits in memory and is written before the next line. Segments may be removed meanwhile:
a full disk has to become emptier though the tombstone does not fit yet.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from agent.log.disk import give_to_group, sync_directory
from agent.log.manifest import (
    MANIFEST_NAME,
    Closed,
    Compacted,
    Expired,
    Fact,
    Manifest,
    fact_of,
    line_hash,
    manifest_line,
    read_manifest,
)
from agent.log.segments import UNPUBLISHED
from agent.log.trimming import droppable, trimmed_fact


class Ledger:
    """Appends to `LOGDIR/manifest.jsonl`. Times are wall-clock nanoseconds."""

    def __init__(self, directory: Path, gid: int | None = None) -> None:
        self.head = ""
        """SHA-256 of the last line that stands in the file; empty before the first one."""
        self._path = directory / MANIFEST_NAME
        self._gid = gid
        self._pending: deque[tuple[Fact, int]] = deque()

    @property
    def pending(self) -> int:
        """Lines that wait in memory."""
        return len(self._pending)

    def open(self) -> Manifest:
        """Cuts off a last line that was not finished and goes on after the one before. Returns what is there.
        Raises OSError."""
        manifest = read_manifest(self._path.parent)
        if manifest.torn_bytes:
            os.truncate(self._path, manifest.size)
        self.head = manifest.head
        return manifest

    def note_closed(self, closed: Closed, wall_ns: int) -> None:
        """A segment was closed, and its data is on disk. Raises nothing: else the line waits."""
        self._pending.append((closed, wall_ns))
        with suppress(OSError):
            self.flush()

    def note_compacted(self, compacted: Compacted, wall_ns: int) -> None:
        """A segment's lines stand in a Parquet file, which is on disk under its final name; the lines may be
        removed afterwards. Raises OSError; then nothing was noted."""
        self.flush()
        self._pending.append((compacted, wall_ns))
        try:
            self.flush()
        except OSError:
            self._pending.pop()
            raise

    def note_expired(self, expired: Sequence[Expired], wall_ns: int) -> None:
        """Retention is about to remove these. Raises OSError; the tombstones wait all the same, and
        `forget_expired` takes them back."""
        self._pending.extend((one, wall_ns) for one in expired)
        self.flush()

    def forget_expired(self) -> None:
        """Takes back tombstones that wait: the segments could not be removed."""
        self._pending = deque(one for one in self._pending if not isinstance(one[0], Expired))

    def trim(self, wall_ns: int) -> int:
        """Takes out the first lines when enough of them are about what is long gone; returns how many.
        Another file takes the place of the manifest, whole and on disk. Raises OSError; then all is as it
        was."""
        if self._pending:
            return 0
        lines = self._path.read_bytes().splitlines(keepends=True)
        manifest, facts = read_manifest(self._path.parent), [fact_of(line) for line in lines]
        count = droppable(facts, manifest)
        if not count or manifest.head != self.head:
            return 0
        last = manifest_line(trimmed_fact(facts, manifest, count), self.head, wall_ns)
        self._replace(b"".join([*lines[count:], last]))
        self.head = line_hash(last)
        return count

    def _replace(self, content: bytes) -> None:
        new = self._path.with_name(self._path.name + UNPUBLISHED)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(new, flags, 0o640)
        try:
            if self._gid is not None:
                give_to_group(fd, self._gid)
            _append(fd, content)
            os.fdatasync(fd)
            new.rename(self._path)
        except OSError:
            new.unlink(missing_ok=True)
            raise
        finally:
            os.close(fd)
        sync_directory(self._path.parent)

    def flush(self) -> None:
        """Writes what waits and forces it to disk. Raises OSError; lines are in the file whole or not."""
        if not self._pending:
            return
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(self._path, flags, 0o640)
        try:
            if self._gid is not None:
                give_to_group(fd, self._gid)
            while self._pending:
                line = manifest_line(self._pending[0][0], self.head, self._pending[0][1])
                _append(fd, line)
                self._pending.popleft()
                self.head = line_hash(line)
            os.fdatasync(fd)
        finally:
            os.close(fd)


def _append(fd: int, line: bytes) -> None:
    """Raises OSError when the line does not stand in the file whole; then no part of it does."""
    before = os.fstat(fd).st_size
    try:
        written = os.write(fd, line)
        while written < len(line):
            written += os.write(fd, line[written:])
    except OSError:
        with suppress(OSError):
            os.ftruncate(fd, before)
        raise
