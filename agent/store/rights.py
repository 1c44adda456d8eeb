# SPDX-License-Identifier: Apache-2.0
"""Who may read the log may read its store, and nobody else may."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_READABLE = 0o640


def give_like(source: Path, target: Path) -> None:
    """The same owner, group and mode as the segment. Raises OSError."""
    status = source.stat()
    with suppress(OSError):
        os.chown(target, status.st_uid, status.st_gid)
    target.chmod(status.st_mode & 0o777)


def give_directory(log_dir: Path, store: Path) -> None:
    """The store's directory is as the log's."""
    with suppress(OSError):
        give_like(log_dir, store)


def give_index(path: Path) -> None:
    """Makes the index, empty, where it is absent, readable for the log directory's group whatever the umask.

    Before SQLite opens it: what it makes beside the file (`-wal`, `-shm`) gets the file's owner and mode
    (SQLite, os_unix.c, findCreateFileMode). A file that is there is not opened: closing it would drop locks
    that this process holds (sqlite.org/howtocorrupt.html, 2.2). Raises OSError when it cannot be made.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _READABLE))
    status = path.parent.parent.stat()
    with suppress(OSError):
        os.chown(path, status.st_uid, status.st_gid)
    with suppress(OSError):
        path.chmod(_READABLE)
