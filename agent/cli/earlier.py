# SPDX-License-Identifier: Apache-2.0
"""Names of processes that began before the part of the log that is being shown."""

from __future__ import annotations

from agent.log.entry import Cursor
from agent.log.reader import LogReader

PAGE = 2000
"""Execs read at once."""
MOST = 40_000
"""Execs looked at in all: about a quarter of a second of work. Beyond them a name stays unknown."""


class Earlier:
    """Looks binaries up by exec_id, backwards from a place; reads only as far as it must."""

    def __init__(self, reader: LogReader, before: Cursor) -> None:
        self._reader = reader
        self._before = before
        self._left = MOST
        self._binaries: dict[str, str] = {}

    def binary(self, exec_id: str) -> str | None:
        """The binary of a process; None when it is not among the execs looked at."""
        while exec_id not in self._binaries and self._left > 0:
            self._read_page()
        return self._binaries.get(exec_id)

    def _read_page(self) -> None:
        page = self._reader.last(min(PAGE, self._left), types=("process_exec",), before=self._before)
        self._left = self._left - len(page) if page else 0
        for entry in page:
            process = entry.record["process_exec"].get("process", {})
            self._binaries.setdefault(process.get("exec_id", ""), process.get("binary", ""))
        if page:
            first = page[0]
            self._before = Cursor(first.segment, first.offset - len(first.line) - 1, first.sequence - 1)
