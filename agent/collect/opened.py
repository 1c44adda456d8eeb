# SPDX-License-Identifier: Apache-2.0
"""One open log file and the place in it. Regular files only: nothing else is waited for, and no symbolic link
is followed, so that who may write to a directory of logs cannot have other files read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from agent.collect.cutting import Cutter, Line

READ_BYTES = 1 << 14
"""Most that one call reads."""
BACKLOG_BYTES = 16 << 20
"""What may wait in a file; what is more is passed over, and its lines are counted."""
_TAIL_BYTES = 64
_AT_ONCE, _PASS_BYTES = 1 << 20, 1 << 30
_OPEN = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY


class Spot(NamedTuple):
    """A place in a file, to find it again."""

    dev: int
    ino: int
    offset: int
    """Bytes that were read; a line that is not whole is not."""
    tail: str
    """The last bytes before it, hexadecimal: a file that has others there was written anew."""


class Opened:
    """Reads on from a place. Raises OSError where the kernel does."""

    def __init__(self, path: str, line_bytes: int) -> None:
        """Raises OSError for what is no regular file, too."""
        try:
            self.fd = os.open(path, _OPEN)
        except OSError as error:
            if os.path.islink(path):  # noqa: PTH114 (no Path is made for a test)
                raise OSError(error.errno, "is a symbolic link; name the file that it leads to") from None
            raise
        found = os.fstat(self.fd)
        if not stat.S_ISREG(found.st_mode):
            self.close()
            raise OSError(0, "is no regular file")
        self.dev, self.ino, self._offset = found.st_dev, found.st_ino, 0
        self._tail = b""
        self._size = 0
        """When it was last looked at."""
        self._line_bytes = line_bytes
        self._cutter = Cutter(line_bytes)

    def close(self) -> None:
        """Closes it."""
        os.close(self.fd)

    @property
    def key(self) -> tuple[int, int]:
        """Which file it is, whatever its name."""
        return self.dev, self.ino

    @property
    def read_to(self) -> int:
        """Bytes that were read, of a line that is not whole, too."""
        return self._offset

    def spot(self) -> Spot:
        """Where the next line begins."""
        offset = self._offset - self._cutter.waiting
        return Spot(self.dev, self.ino, offset, self._before(offset).hex())

    def seek_end(self) -> None:
        """What is there already was written before anybody asked."""
        self._go(os.fstat(self.fd).st_size)

    def seek(self, spot: Spot) -> bool:
        """Goes on at a place of before; False, and the file's beginning, when it is not that file."""
        tail = bytes.fromhex(spot.tail)
        if spot.offset > os.fstat(self.fd).st_size or self._before(spot.offset) != tail:
            return False
        self._go(spot.offset)
        return True

    def begin_anew(self) -> bool:
        """Where it was truncated, or other text stands where it was read, reading begins anew. Whether
        something is known to be gone: what had been there and was not read."""
        if self._before(self._offset) == self._tail:
            return False
        had_more = self._size > self._offset or self._cutter.waiting > 0
        self._go(0)
        return had_more

    def read(self) -> Iterator[Line]:
        """Lines of the next piece; a piece is `READ_BYTES` at most."""
        data = os.pread(self.fd, READ_BYTES, self._offset)
        if data:
            self._offset += len(data)
            self._tail = (self._tail + data)[-_TAIL_BYTES:]
            yield from self._cutter.lines(data)

    def rest(self) -> Line | None:
        """A last line without a newline, of a file to which nobody writes any more."""
        return self._cutter.flush()

    def unread(self) -> int:
        """Bytes that wait."""
        self._size = os.fstat(self.fd).st_size
        return max(0, self._size - self._offset)

    def pass_over(self) -> int:
        """Leaves out what waits, up to its last newline, a GiB at most; the number of lines."""
        end = min(os.fstat(self.fd).st_size, self._offset + _PASS_BYTES)
        count, last, at = 0, end, self._offset
        while at < end and (data := os.pread(self.fd, min(_AT_ONCE, end - at), at)):
            newline = data.rfind(b"\n")
            if newline >= 0:
                count, last = count + data.count(b"\n"), at + newline + 1
            at += len(data)
        self._go(last)
        return count

    def _go(self, offset: int) -> None:
        self._offset, self._size = offset, 0
        self._tail = self._before(offset)
        self._cutter = Cutter(self._line_bytes)

    def _before(self, offset: int) -> bytes:
        """The last bytes before a place."""
        length = min(offset, _TAIL_BYTES)
        return os.pread(self.fd, length, offset - length)
