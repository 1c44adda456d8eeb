# SPDX-License-Identifier: Apache-2.0
"""systemd's journal, read by its own program: `journalctl --output json --follow`, started again if it ends.

Fields: systemd.journal-fields(7); the JSON: https://systemd.io/JOURNAL_EXPORT_FORMATS/. Those that begin with
an underscore are the journal's word, the others the writer's.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import orjson

FIELDS = (
    "MESSAGE", "SYSLOG_IDENTIFIER", "SYSLOG_FACILITY", "_PID", "_COMM", "_SYSTEMD_UNIT", "_TRANSPORT",
    "_SYSTEMD_INVOCATION_ID",
)  # fmt: skip
MOST_ENTRY = 1 << 20
"""Bytes of an entry; longer ones are left out and counted."""
READ_BYTES = 1 << 14
LATE_NS = 60_000_000_000
"""Entries that are older are passed over and counted while others wait behind them, in nanoseconds."""
PAUSE_S = 5.0
"""Before journalctl is started again, in seconds."""
_PROGRAM = "journalctl"


class Entry(NamedTuple):
    """One entry."""

    message: str
    program: str
    """Who it says it is; else the name of the task."""
    pid: int
    """The journal's word; 0: none."""
    unit: str
    facility: int
    """-1: none."""
    transport: str
    """`syslog`, `journal`, `stdout`, `kernel`, `audit`, `driver`."""
    invocation: str
    """Of the unit."""
    time_ns: int
    """When the journal got it, wall-clock nanoseconds."""


Start = Callable[[Sequence[str]], "subprocess.Popen[bytes]"]


def start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    """journalctl as a child. It ends by itself when nobody reads any more. Raises OSError."""
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


class Journal:
    """Entries behind a cursor. Nothing here raises: what is wrong is `problem`."""

    def __init__(self, units: Sequence[str], cursor: str, line_bytes: int, starts: Start = start) -> None:
        """`cursor`: of the last entry before; empty: begin with what comes now."""
        self._units, self.cursor, self._line_bytes, self._start = units, cursor, line_bytes, starts
        self._child: subprocess.Popen[bytes] | None = None
        self._begun, self._is_skipping = b"", False
        self._said = b""
        """The last that journalctl said on standard error."""
        self._due_s = 0.0
        self.problem = ""
        self.lost: list[tuple[str, int]] = []
        """As in LogFile."""

    @property
    def fileno(self) -> int:
        """To wait for; -1 while none runs."""
        child = self._child
        return child.stdout.fileno() if child is not None and child.stdout is not None else -1

    def entries(self, now: float, wall_ns: int) -> Iterator[Entry]:
        """A piece of what has come."""
        if self._child is None:
            self._begin(now)
        data = self._read()
        if not data:
            return
        *whole, self._begun = (self._begun + data).split(b"\n")
        for text in whole:
            entry, self._is_skipping = None if self._is_skipping else self._entry(text), False
            if entry is not None and self._is_in_time(entry, wall_ns, len(data) == READ_BYTES):
                yield entry
        if len(self._begun) > MOST_ENTRY or self._is_skipping:
            if not self._is_skipping:
                self._count("line_long")
            self._begun, self._is_skipping = b"", True

    def close(self) -> None:
        """Ends journalctl."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.communicate()

    def command(self) -> list[str]:
        """What is run."""
        where = ["--after-cursor", self.cursor, "--no-tail"] if self.cursor else ["--lines", "0"]
        units = [word for unit in self._units for word in ("--unit", unit)]
        fields = f"--output-fields={','.join(FIELDS)}"
        return [
            _PROGRAM,
            "--follow",
            "--output=json",
            fields,
            "--all",
            "--quiet",
            "--no-pager",
            *where,
            *units,
        ]

    def _begin(self, now: float) -> None:
        if now < self._due_s:
            return
        self._due_s = now + PAUSE_S
        try:
            self._child = self._start(self.command())
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            self.problem = (
                f"the journal: {_PROGRAM} is missing" if missing else f"the journal: {error.strerror}"
            )
            return
        self._begun, self._is_skipping, self._said, self.problem = b"", False, b"", ""
        for stream in (self._child.stdout, self._child.stderr):
            assert stream is not None
            os.set_blocking(stream.fileno(), False)

    def _read(self) -> bytes:
        child = self._child
        if child is None:
            return b""
        assert child.stderr is not None
        with suppress(BlockingIOError):
            self._said = os.read(child.stderr.fileno(), READ_BYTES) or self._said
        try:
            data = os.read(self.fileno, READ_BYTES)
        except BlockingIOError:
            return b""
        if not data:
            self._ended()
        return data

    def _ended(self) -> None:
        child, self._child = self._child, None
        assert child is not None and child.stderr is not None and child.stdout is not None
        with suppress(BlockingIOError):
            self._said = os.read(child.stderr.fileno(), READ_BYTES) or self._said
        child.kill()
        status = child.wait()
        child.stdout.close()
        child.stderr.close()
        why = self._said.decode("utf-8", "replace").strip().rpartition("\n")[2][:200]
        self.problem = f"the journal: {_PROGRAM} ended with status {status}{': ' + why if why else ''}"

    def _entry(self, text: bytes) -> Entry | None:
        try:
            said = orjson.loads(text)
            cursor, time_ns = str(said["__CURSOR"]), int(said["__REALTIME_TIMESTAMP"]) * 1000
        except (ValueError, KeyError, TypeError):
            self._count("line_damaged")
            return None
        self.cursor = cursor
        message = _text(said.get("MESSAGE"))
        program = _text(said.get("SYSLOG_IDENTIFIER")) or _text(said.get("_COMM"))
        if not message:
            return None
        return Entry(
            message,
            program[:64],
            _number(said.get("_PID"), 0),
            _text(said.get("_SYSTEMD_UNIT"))[:256],
            _number(said.get("SYSLOG_FACILITY"), -1),
            _text(said.get("_TRANSPORT")),
            _text(said.get("_SYSTEMD_INVOCATION_ID")),
            time_ns,
        )

    def _is_in_time(self, entry: Entry, wall_ns: int, has_more: bool) -> bool:
        if has_more and wall_ns - entry.time_ns > LATE_NS:
            self._count("line_rate")
            return False
        return True

    def _count(self, cause: str) -> None:
        self.lost.append((cause, 1))


def _text(value: Any) -> str:
    """A field: a text, bytes that are none, or several values, of which the first counts."""
    if isinstance(value, list):
        if value and all(type(one) is int and 0 <= one < 256 for one in value):
            return bytes(value).decode("utf-8", "replace")
        value = value[0] if value else ""
        return _text(value) if isinstance(value, (str, list)) else ""
    return value if isinstance(value, str) else ""


def _number(value: Any, otherwise: int) -> int:
    text = _text(value)
    return int(text) if text.isdecimal() and len(text) < 10 else otherwise
