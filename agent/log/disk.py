# SPDX-License-Identifier: Apache-2.0
"""The file under the log: whole lines only, whatever the disk does; and the state of that disk."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from agent.log.marks import MarkedHash


class DiskState(StrEnum):
    """Whether lines reach the disk, and if not, what has to be mended."""

    OK = "ok"
    DISK_FULL = "disk_full"
    READ_ONLY = "read_only"
    VANISHED = "vanished"
    IO_ERROR = "io_error"


_STATES = {
    errno.ENOSPC: DiskState.DISK_FULL,
    errno.EDQUOT: DiskState.DISK_FULL,
    errno.EFBIG: DiskState.DISK_FULL,
    errno.EROFS: DiskState.READ_ONLY,
    errno.EACCES: DiskState.READ_ONLY,
    errno.EPERM: DiskState.READ_ONLY,
    errno.ENOENT: DiskState.VANISHED,
    errno.ENOTDIR: DiskState.VANISHED,
    errno.ESTALE: DiskState.VANISHED,
}


def state_of(error: OSError) -> DiskState:
    """What an error of the file system means for the log."""
    return _STATES.get(error.errno or 0, DiskState.IO_ERROR)


@dataclass(frozen=True, slots=True)
class Health:
    """The writer's state, for status, heartbeat and metrics."""

    state: DiskState
    """OK, or why lines wait in memory (IO_ERROR also: written, but a sync failed)."""
    since_ns: int | None
    """Wall-clock nanoseconds since when; None while OK."""
    queued: int
    """Lines that wait in memory."""
    queued_bytes: int
    """Memory that they take, in bytes."""
    dropped: int
    """Lines lost since the writer was opened because the queue was full."""
    error: str
    """The last error in words; empty while OK."""


class Condition:
    """Whether the disk takes lines, since when not, and why. Times are wall-clock nanoseconds."""

    __slots__ = ("error", "since_ns", "state")

    def __init__(self) -> None:
        self.state = DiskState.OK
        self.since_ns: int | None = None
        self.error = ""

    def failed(self, state: DiskState, error: str, now_ns: int) -> None:
        """Notes an error; `since_ns` stays at the first one of a row."""
        self.state, self.error = state, error
        if self.since_ns is None:
            self.since_ns = now_ns

    def works(self) -> None:
        """Notes that everything is well."""
        self.state, self.error, self.since_ns = DiskState.OK, "", None


class SegmentFile:
    """The open segment. Nothing but whole lines stays in it."""

    __slots__ = ("_excess", "_hash", "dirty", "fd", "lines", "path", "size")

    def __init__(self, path: Path, gid: int | None) -> None:
        """Creates the file (mode 0640, group `gid` if given); raises OSError, FileExistsError included."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        self.path = path
        self.fd = os.open(path, flags, 0o640)
        self.size = 0  # bytes of whole lines
        self.lines = 0
        self.dirty = False  # something was written since the last sync
        self._excess = 0  # bytes of a torn line at the end that could not be cut off yet
        self._hash = MarkedHash()  # of the whole lines, in the order in which they were written
        with suppress(PermissionError):  # a file system without modes
            os.fchmod(self.fd, 0o640)  # the umask may have taken the group's right
        if gid is not None:
            give_to_group(self.fd, gid)

    def append(self, data: bytes, count: int) -> OSError | None:
        """Appends `count` whole lines. On an error `size` and `lines` have grown by those lines that stand
        whole in the file, and the part of a line after them is cut off again."""
        written = 0
        try:
            if self._excess:
                self._cut()
            written = os.write(self.fd, data)
            while written < len(data):
                written += os.write(self.fd, data[written:])
        except OSError as error:
            return self._torn(data, written, error)
        self._hash.update(data)
        self.size += written
        self.lines += count
        self.dirty = True
        return None

    @property
    def sha256(self) -> str:
        """SHA-256 of the whole lines as they were written, whatever is in the file by now; hexadecimal."""
        return self._hash.hexdigest()

    @property
    def marks(self) -> bytes:
        """Hashes of the lines up to here and there: agent/log/marks.py."""
        return bytes(self._hash.marks)

    def is_lost(self) -> bool:
        """Whether the file was removed, replaced or cut behind our back."""
        own = os.fstat(self.fd)
        if own.st_nlink == 0 or own.st_size < self.size:
            return True
        try:
            return not os.path.samestat(own, self.path.lstat())
        except OSError as error:
            return state_of(error) is DiskState.VANISHED

    def missing_lines(self) -> int:
        """How many of the lines written here are not to be found under the segment's name."""
        try:
            with open(self.path, "rb") as file:
                if not os.path.samestat(os.fstat(file.fileno()), os.fstat(self.fd)):
                    return self.lines
                return max(0, self.lines - sum(1 for _ in file))
        except OSError:
            return self.lines

    def seal(self) -> None:
        """Makes sure that nothing stands after the whole lines in the file. Raises OSError."""
        self._cut()

    def sync(self) -> None:
        """Forces the data to disk. Raises OSError."""
        if self.dirty:
            os.fdatasync(self.fd)
            self.dirty = False

    def rename(self, path: Path) -> None:
        """Gives the file its final name. Raises OSError."""
        self.path = self.path.rename(path)

    def remove(self) -> None:
        """Removes the file, as far as that is possible, and closes it."""
        with suppress(OSError):
            self.path.unlink()
        self.close()

    def close(self) -> None:
        """Closes the file without a sync."""
        os.close(self.fd)

    def _torn(self, data: bytes, written: int, error: OSError) -> OSError:
        whole = data.rfind(b"\n", 0, written) + 1
        self._hash.update(data[:whole])
        self.size += whole
        self.lines += data.count(b"\n", 0, whole)
        self.dirty = self.dirty or whole > 0
        self._excess += written - whole
        with suppress(OSError):  # else it is tried again before the next write
            self._cut()
        return error

    def _cut(self) -> None:
        if self._excess:
            os.ftruncate(self.fd, max(0, os.fstat(self.fd).st_size - self._excess))
            self._excess = 0


def give_to_group(fd: int, gid: int) -> None:
    """Gives a file to the group that may read the log, where we are allowed to."""
    with suppress(PermissionError):  # not root and not a member: the file stays with our own group
        os.fchown(fd, -1, gid)


def sync_directory(directory: Path) -> None:
    """Forces the names of a directory to disk. Raises OSError."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
