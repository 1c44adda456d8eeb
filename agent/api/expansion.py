# SPDX-License-Identifier: Apache-2.0
"""The expanded form for streams that ask for it: one memory of processes for all of them.

What is known of a process stands in the log once, at its exec, which may be long before a stream begins.
So the log is read back first, from the agent's start (the processes that were there then are written
anew) but not further than a fixed number of bytes. exec_ids are unique, so it does no harm that this
memory runs ahead of a slow client.
"""

from __future__ import annotations

import asyncio
from itertools import islice
from pathlib import Path
from typing import Any

from agent.log.entry import Cursor
from agent.log.expand import Expander
from agent.log.reader import LogReader
from agent.log.segments import list_segments

READ_BACK_BYTES = 256 << 20
"""At most so much of the log is read back, in bytes; whole segments."""
MAX_PROCESSES = 32768
"""Processes that are remembered."""
SLICE = 500
"""Records that are read back before other clients get their turn."""

_KINDS = ("segment", "fork", "process_exec", "process_exit")


class Expansion:
    """Expands records at any place of one log. Raises LogUnavailable and OSError."""

    def __init__(self, directory: str, since_ms: int) -> None:
        """`since_ms`: when the agent started, wall-clock milliseconds."""
        path = Path(directory)
        self._expander = Expander(MAX_PROCESSES)
        self._tail = LogReader(path).tail(first_place(path, since_ms), types=_KINDS)
        self._reading: asyncio.Task[None] | None = None

    async def prepare(self) -> None:
        """Reads back, in slices, once for all streams; to be awaited before the first `expand`."""
        if self._reading is None:
            self._reading = asyncio.create_task(self._read_back(), name="reading the log back")
        await asyncio.shield(self._reading)

    def catch_up(self) -> None:
        """Takes notice of what was written since; before expanding what was just read."""
        for entry in self._tail.entries():
            self._expander.learn(entry.record)

    def expand(self, record: dict[str, Any]) -> dict[str, Any]:
        """The expanded record, with our own key, which filters look at."""
        return self._expander.expand(record, tracehound=True)

    def close(self) -> None:
        """Stops reading back and closes the open segment."""
        if self._reading is not None:
            self._reading.cancel()
        self._tail.close()

    async def _read_back(self) -> None:
        entries = self._tail.entries()
        while taken := list(islice(entries, SLICE)):
            for entry in taken:
                self._expander.learn(entry.record)
            await asyncio.sleep(0)


def first_place(directory: Path, since_ms: int) -> Cursor | None:
    """Where reading back begins: the beginning of a segment; None is the beginning of the log."""
    total = 0
    chosen = None
    for name in reversed(list_segments(directory)):
        try:
            total += (directory / str(name)).stat().st_size
        except FileNotFoundError:
            break
        if total > READ_BACK_BYTES and chosen is not None:
            break
        chosen = name
        if name.created_ms <= since_ms:
            break
    return Cursor(str(chosen), 0, 0) if chosen else None
