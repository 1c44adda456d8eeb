# SPDX-License-Identifier: Apache-2.0
"""The end of the log: where new streams begin, and how far behind it the others are.

One per service, looked at on a timer while there are streams. It does not parse events, it only passes
them, so that its cost does not grow with the number of clients.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from agent.log.entry import Corrupt, Cursor
from agent.log.reader import LogReader
from agent.log.records import OWN_HEAD
from agent.log.tail import Tail
from agent.log.window import Window

POLL_S = 0.05
"""How often it is looked whether the log has grown, in seconds."""


def is_own(line: bytes) -> bool:
    """Whether a line is one of the log's own records, which clients of this interface do not see."""
    return line.startswith(OWN_HEAD)


def ignore(corrupt: Corrupt) -> None:
    """A damaged piece of the log is the business of `tracehound doctor`, not of a stream."""


class Head:
    """The moving end of one log. Raises LogUnavailable when there is none."""

    def __init__(self, directory: str) -> None:
        reader = LogReader(directory)
        last = reader.last(1)
        start = last[0].cursor if last else reader.end()
        self.node_name: str = last[0].record.get("node_name", "") if last else ""
        """Name of the node, as the log's last record has it."""
        self._directory = Path(directory)
        self._sign: object = None
        self._tail = Tail(self._directory, Window(test=is_own), start, ignore)
        self._news = asyncio.Event()
        self._error: OSError | None = None
        self.own = 0
        """Own records passed since this object was made; what else was passed are events."""

    @property
    def cursor(self) -> Cursor:
        """The place after the last whole record."""
        return self._tail.cursor

    def look(self) -> None:
        """Moves on to the end, and wakes who waits when there is something new. Raises OSError."""
        before = self.cursor
        self.own += sum(1 for entry in self._tail.entries() if entry.line)
        if self.cursor != before:
            self._wake()

    async def wait(self, seen: Cursor) -> None:
        """Returns when there is something after this place. Raises OSError when the log is lost."""
        while self.cursor.sequence <= seen.sequence:
            await self._news.wait()
            if self._error is not None:
                raise self._error

    async def watch(self) -> None:
        """Looks again and again; what goes wrong is raised to those who wait."""
        while True:
            try:
                if self._has_changed():
                    self.look()
                    self._error = None
            except OSError as error:
                self._error, self._sign = error, None
                self._wake()
            await asyncio.sleep(POLL_S)

    def close(self) -> None:
        """Closes the open segment."""
        self._tail.close()

    def _has_changed(self) -> bool:
        """Whether a look can find anything: two system calls instead of a dozen, twenty times a second."""
        sign = (_change_of(self._directory), _change_of(self._directory / self.cursor.segment))
        before, self._sign = self._sign, sign
        return sign != before

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


def _change_of(path: Path) -> tuple[int, int] | None:
    """What is different after a file has grown or a directory has got another file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
