# SPDX-License-Identifier: Apache-2.0
"""What a destination refused for good: kept beside the cursor, bounded, to be looked at or sent by hand.

`STATE_DIR/NAME/dead.jsonl`, mode 0600, one `{"reason","time","uid","type","body"}` per document. At half
of the limit the file becomes `dead.jsonl.1`; the one before it goes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import orjson

from agent.log.times import format_time
from exporters.base import Document

NAME = "dead.jsonl"


def kept_bytes(directory: Path) -> int:
    """Bytes of the dead letters of an exporter that nobody has dealt with."""
    total = 0
    for name in (NAME, f"{NAME}.1"):
        with suppress(OSError):
            total += (directory / name).stat().st_size
    return total


class DeadLetters:
    """The file, opened when there is something to write."""

    def __init__(self, directory: Path, most_bytes: int) -> None:
        self._path = directory / NAME
        self._older = directory / f"{NAME}.1"
        self._half = most_bytes // 2
        self.dropped = 0
        """Bytes of older documents that made room for newer ones."""

    def write(self, refused: Iterable[tuple[Document, str]], now_ns: int) -> None:
        """Appends documents with the reasons for which they were refused, whole or not at all.

        `now_ns` is wall-clock nanoseconds. Raises OSError; what was written of it is cut off again.
        """
        stamp = format_time(now_ns)
        lines = b"".join(_line(document, reason, stamp) for document, reason in refused)
        self._make_room(len(lines))
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            self._append(fd, lines)
        finally:
            os.close(fd)

    def _make_room(self, more: int) -> None:
        size = self._path.stat().st_size if self._path.exists() else 0
        if size and size + more > self._half:
            self.dropped += self._older.stat().st_size if self._older.exists() else 0
            self._path.replace(self._older)

    def _append(self, fd: int, lines: bytes) -> None:
        size, left = os.fstat(fd).st_size, memoryview(lines)
        try:
            while left:
                left = left[os.write(fd, left) :]
            os.fsync(fd)
        except OSError:
            os.ftruncate(fd, size)
            raise


def _line(document: Document, reason: str, stamp: str) -> bytes:
    letter = {
        "reason": reason,
        "time": stamp,
        "uid": document.uid,
        "type": document.type,
        "body": document.body.decode(errors="replace"),
    }
    return orjson.dumps(letter, option=orjson.OPT_APPEND_NEWLINE)
