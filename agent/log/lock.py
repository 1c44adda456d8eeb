# SPDX-License-Identifier: Apache-2.0
"""The lock that makes sure that a log directory has one writer."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from agent.errors import AlreadyRunning

LOCK_NAME = "lock"


class DirectoryLock:
    """`LOGDIR/lock`, held by flock for as long as this object is; the file holds the holder's pid.

    The lock belongs to the open file: a child that is forked without exec holds it too and has to call
    `close`.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / LOCK_NAME
        self._fd = -1

    def take(self) -> None:
        """Raises AlreadyRunning when another writer holds the lock, OSError when there is no file to lock.

        Taking it again is cheap and notices that the file was removed or replaced.
        """
        while not self._is_current():
            self.close()
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = self._holder()
                self.close()
                raise AlreadyRunning(
                    f"another agent (pid {holder}) writes the log in {self._path.parent}",
                    "stop that agent first, or set log.dir to another directory",
                ) from None
            self._write_pid()

    def close(self) -> None:
        """Gives the lock up. The file stays: removing it would let two writers lock different files."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _is_current(self) -> bool:
        if self._fd < 0:
            return False
        try:
            return os.path.samestat(os.fstat(self._fd), self._path.lstat())
        except FileNotFoundError:
            return False

    def _write_pid(self) -> None:
        try:
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, b"%d\n" % os.getpid(), 0)
        except OSError:
            pass  # a full disk: the lock holds all the same, only its holder's pid is not told

    def _holder(self) -> str:
        return os.pread(self._fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
