# SPDX-License-Identifier: Apache-2.0
"""A private directory for what a query writes. What a killed one left is removed by the next.

A query holds a lock on its directory (flock(2)), which the kernel takes back however it ends.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "tracehound-query-"
_LARGE = Path("/var/tmp")
"""Where large temporary files belong (hier(7)); /tmp is often memory."""


def place() -> Path:
    """$TMPDIR where that is set, else /var/tmp where that can be written to, else /tmp."""
    if not os.environ.get("TMPDIR") and os.access(_LARGE, os.W_OK | os.X_OK):
        return _LARGE
    return Path(tempfile.gettempdir())


@contextmanager
def scratch(parent: Path | None = None) -> Iterator[Path]:
    """A directory with mode 0700 that is gone afterwards. Raises OSError."""
    parent = parent or place()
    sweep(parent)
    path, fd = _make(parent)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(fd)


def sweep(parent: Path) -> None:
    """Removes what this user's killed queries left. Raises nothing."""
    with suppress(OSError):
        for path in parent.glob(f"{PREFIX}*"):
            with suppress(OSError):
                _sweep(path)


def _make(parent: Path) -> tuple[Path, int]:
    while True:
        path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        with suppress(FileNotFoundError):  # swept before it was locked
            fd = _open(path)
            fcntl.flock(fd, fcntl.LOCK_EX)
            if path.exists():
                return path, fd
            os.close(fd)


def _sweep(path: Path) -> None:
    fd = _open(path)
    try:
        if os.fstat(fd).st_uid == os.geteuid():
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while its query runs
            shutil.rmtree(path)
    finally:
        os.close(fd)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
