# SPDX-License-Identifier: Apache-2.0
"""A file that begins anew when it is large or old enough; some older ones are kept, compressed if wanted."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path


class Rotating:
    """One open file. Older ones are called `NAME-2026-01-01T00-00-00.000.EXT`, with `.gz` when compressed.

    Everything raises OSError. `now` is wall-clock seconds.
    """

    def __init__(
        self,
        path: Path,
        *,
        most_bytes: int,
        most_seconds: float,
        keep: int,
        compress: bool,
        mode: int,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._path, self._most_bytes, self._most_seconds = path, most_bytes, most_seconds
        self._keep, self._compress, self._mode, self._now = keep, compress, mode, now
        self._fd, self._size, self._begun = -1, 0, 0.0

    def write(self, data: bytes) -> None:
        """Appends whole lines; cuts them off again when the disk does not take them all."""
        self._open()
        if self._size and self._is_due(len(data)):
            self.rotate()
            self._open()
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._fd, left) :]
        except OSError:
            os.ftruncate(self._fd, self._size)
            raise
        self._size += len(data)

    def rotate(self) -> None:
        """Closes the file safely on disk and gives it the name of an old one."""
        if self._fd < 0:
            return
        os.fsync(self._fd)
        self.close()
        old = self._old_name()
        self._path.rename(old)
        if self._compress:
            _compress(old)
        self._prune()

    def close(self) -> None:
        """Closes the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> None:
        """Opens it, and opens it anew when somebody has moved it away (logrotate)."""
        if self._fd >= 0 and not self._is_moved():
            return
        self.close()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(self._path, flags, self._mode)
        stat = os.fstat(self._fd)
        self._size = _cut_torn(self._path, self._fd, stat.st_size)
        self._begun = stat.st_mtime if self._size else self._now()

    def _is_moved(self) -> bool:
        try:
            return not os.path.samestat(os.fstat(self._fd), self._path.lstat())
        except FileNotFoundError:
            return True

    def _is_due(self, more: int) -> bool:
        too_large = 0 < self._most_bytes < self._size + more
        return too_large or 0 < self._most_seconds <= self._now() - self._begun

    def _old_name(self) -> Path:
        seconds = self._now()
        while True:
            stamp = (
                time.strftime("%Y-%m-%dT%H-%M-%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1000):03d}"
            )
            old = self._path.with_name(f"{self._path.stem}-{stamp}{self._path.suffix}")
            if not old.exists() and not old.with_name(old.name + ".gz").exists():
                return old
            seconds += 0.001

    def _prune(self) -> None:
        stem, suffix = re.escape(self._path.stem), re.escape(self._path.suffix)
        pattern = re.compile(rf"{stem}-\d{{4}}-\d\d-\d\dT[\d-]{{8}}\.\d{{3}}{suffix}(\.gz)?")
        old = sorted(path for path in self._path.parent.iterdir() if pattern.fullmatch(path.name))
        for path in old[: max(0, len(old) - self._keep)]:
            path.unlink(missing_ok=True)


def _compress(path: Path) -> None:
    """Replaces the file by its gzip; what was begun and not finished has the ending `.part`."""
    part, whole = path.with_name(path.name + ".gz.part"), path.with_name(path.name + ".gz")
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, path.stat().st_mode & 0o777)
    with os.fdopen(fd, "wb") as raw, path.open("rb") as plain:
        with gzip.GzipFile(path.name, "wb", 6, raw) as packed:
            shutil.copyfileobj(plain, packed, 1 << 20)
        raw.flush()
        os.fsync(raw.fileno())
    part.rename(whole)
    path.unlink()


def _cut_torn(path: Path, fd: int, size: int) -> int:
    """Cuts off a last line that a crash left without its end; returns the size. The batch comes again."""
    with path.open("rb") as file:
        end = size
        while end > 0:
            begin = max(0, end - 65536)
            file.seek(begin)
            found = file.read(end - begin).rfind(b"\n")
            if found >= 0:
                end = begin + found + 1
                break
            end = begin
    if end < size:
        os.ftruncate(fd, end)
    return end
