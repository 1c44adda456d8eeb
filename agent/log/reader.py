# SPDX-License-Identifier: Apache-2.0
"""Reading the event log: by anybody who may read the directory, with or without a running agent."""

from __future__ import annotations

import grp
import os
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from agent.errors import LogUnavailable
from agent.log.backwards import lines_backwards
from agent.log.entry import Corrupt, Cursor, Entry, LineTest, line_test, parse, sequence_in
from agent.log.segments import SegmentName, list_segments
from agent.log.tail import Tail
from agent.log.window import LATE_NS, Window

POLL_SECONDS = 0.05


class LogReader:
    """Reads the segments of one directory.

    `on_corrupt` is called for every piece of the log that is not a record; `corrupt` counts them. Every
    method raises LogUnavailable, with the way out, when the directory is absent or may not be read.
    """

    def __init__(
        self, directory: str | os.PathLike[str], *, on_corrupt: Callable[[Corrupt], None] | None = None
    ) -> None:
        self.corrupt = 0
        self._directory = Path(directory)
        self._on_corrupt = on_corrupt

    def tail(
        self,
        cursor: Cursor | None = None,
        *,
        since_ns: int | None = None,
        until_ns: int | None = None,
        types: Collection[str] | None = None,
    ) -> Tail:
        """A place to read on from without ever waiting, for callers with a loop of their own.

        Begins at `cursor`, else with the oldest record. Times are wall-clock nanoseconds, both included.
        `types` names event types (`process_exec`) and kinds of own records (`loss`); None: all. Notices
        of the reader itself come in any case.
        """
        self._names()
        return Tail(self._directory, Window(since_ns, until_ns, line_test(types)), cursor, self._count)

    def read(
        self,
        cursor: Cursor | None = None,
        *,
        since_ns: int | None = None,
        until_ns: int | None = None,
        types: Collection[str] | None = None,
        follow: bool = False,
        poll_seconds: float = POLL_SECONDS,
    ) -> Iterator[Entry]:
        """Yields records in the order of the log; the parameters of `tail` hold.

        With `follow` it goes on with what is written from now on, through rotation and restarts of the
        agent, until `until_ns` has passed; it then looks for news every `poll_seconds`.
        """
        tail = self.tail(cursor, since_ns=since_ns, until_ns=until_ns, types=types)
        return self._run(tail, until_ns, poll_seconds if follow else None)

    def last(
        self, count: int, *, types: Collection[str] | None = None, before: Cursor | None = None
    ) -> list[Entry]:
        """The last `count` records (before a place), oldest first, read from the end of the log."""
        found: list[Entry] = []
        backwards = self._backwards(line_test(types), before) if count > 0 else iter(())
        for entry in backwards:
            found.append(entry)
            if len(found) == count:
                break
        return found[::-1]

    def end(self) -> Cursor:
        """The place after the last whole line: from there on only what is new comes."""
        for name in reversed(self._names()):
            for offset, line in self._lines_of(name, None):
                return Cursor(str(name), offset + len(line), sequence_in(line))
        return Cursor("", 0, 0)

    def _run(self, tail: Tail, until_ns: int | None, poll_seconds: float | None) -> Iterator[Entry]:
        try:
            while True:
                yield from tail.entries()
                if poll_seconds is None or tail.ended:
                    return
                if until_ns is not None and time.time_ns() > until_ns + LATE_NS:
                    return
                time.sleep(poll_seconds)
        except PermissionError as error:
            raise self._unavailable(error) from error
        finally:
            tail.close()

    def _backwards(self, test: LineTest | None, before: Cursor | None) -> Iterator[Entry]:
        limit = SegmentName.parse(before.segment) if before else None
        for name in reversed(self._names()):
            if before is not None and (limit is None or name > limit):
                continue
            end = before.offset if before is not None and name == limit else None
            for offset, line in self._lines_of(name, end):
                if test is not None and not test(line):
                    continue
                parsed = parse(line)
                if parsed is None:
                    self._count(Corrupt(str(name), offset, len(line)))
                else:
                    yield Entry(parsed[0], line[:-1], str(name), offset + len(line), parsed[1])

    def _lines_of(self, name: SegmentName, end: int | None) -> Iterator[tuple[int, bytes]]:
        """Whole lines of a segment, last one first; nothing when it was removed meanwhile."""
        try:
            fd = os.open(self._directory / str(name), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._unavailable(error) from error
        try:
            size = os.fstat(fd).st_size
            for offset, line in lines_backwards(fd, size if end is None else min(end, size)):
                if line.endswith(b"\n"):
                    yield offset, line
        finally:
            os.close(fd)

    def _names(self) -> list[SegmentName]:
        try:
            return list_segments(self._directory)
        except OSError as error:
            raise self._unavailable(error) from error

    def _count(self, corrupt: Corrupt) -> None:
        self.corrupt += 1
        if self._on_corrupt is not None:
            self._on_corrupt(corrupt)

    def _unavailable(self, error: OSError) -> LogUnavailable:
        message = f"cannot read the log in {self._directory}: {error.strerror}"
        if isinstance(error, PermissionError):
            return LogUnavailable(message, f"not a member of group {self._group()}: join it, or run as root")
        return LogUnavailable(message, "has the agent run on this node, with this directory as log.dir?")

    def _group(self) -> str:
        try:
            gid = self._directory.stat().st_gid
        except OSError:
            return "tracehound"
        try:
            return grp.getgrgid(gid).gr_name
        except KeyError:
            return str(gid)
