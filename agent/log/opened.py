# SPDX-License-Identifier: Apache-2.0
"""An open segment under a reader: it stays readable when retention removes its name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent.log.entry import parse
from agent.log.segments import SegmentName

CHUNK_BYTES = 1 << 18
LONGEST_LINE = 1 << 26
"""A line longer than this, in bytes, is taken for garbage."""


class OpenedSegment:
    """Reads whole lines from `offset` (bytes) on. Raises OSError."""

    def __init__(self, directory: Path, name: SegmentName, offset: int = 0) -> None:
        self.name = name
        self.offset = offset
        self._fd = os.open(directory / str(name), os.O_RDONLY | os.O_CLOEXEC)

    def chunks(self) -> Iterator[bytes]:
        """Yields whole lines, many at a time; a chunk without a newline at its end is garbage.

        The caller moves `offset` on. A last line that is still being written is not yielded.
        """
        size = CHUNK_BYTES
        while chunk := os.pread(self._fd, size, self.offset):
            end = chunk.rfind(b"\n") + 1
            if end or len(chunk) >= LONGEST_LINE:
                yield chunk[: end or None]
                size = CHUNK_BYTES
            elif len(chunk) < size:
                return
            else:
                size *= 2

    def head(self) -> dict[str, Any] | None:
        """The `segment` record's content; None while it is not complete, or when it is damaged."""
        start = os.pread(self._fd, CHUNK_BYTES, 0)
        parsed = parse(start[: start.find(b"\n") + 1])
        return parsed[0] if parsed is not None and "segment" in parsed[0]["tracehound"] else None

    def has_line(self) -> bool:
        """Whether at least one whole line is there."""
        return b"\n" in os.pread(self._fd, CHUNK_BYTES, 0)

    def align(self) -> int:
        """Moves `offset` on to the beginning of a line and returns by how many bytes."""
        if self.offset == 0 or os.pread(self._fd, 1, self.offset - 1) in (b"\n", b""):
            return 0
        skipped = os.pread(self._fd, CHUNK_BYTES, self.offset).find(b"\n") + 1
        self.offset += skipped
        return skipped

    def size(self) -> int:
        """Its size in bytes."""
        return os.fstat(self._fd).st_size

    def close(self) -> None:
        """Closes the file."""
        os.close(self._fd)
