# SPDX-License-Identifier: Apache-2.0
"""Names of the host's users, from /etc/passwd alone (passwd(5)).

The C library's own look-up may ask a directory server and block; the agent must not. Only uids of the
host's user namespace have these names: the caller asks for no others.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable

_CHECK_S = 1.0
"""The file is looked at this often at most, in seconds."""

_MOST_BYTES = 16 << 20
_MOST_USERS = 65536
"""A file beyond these is read as far as they go."""

_UID_DIGITS = 10
"""Uids have 32 bits."""

_Version = tuple[int, int, int, int]
"""Device, inode, size and time of change: what differs after an edit or a replacement."""


class UserNames:
    """Names by uid. Follows changes of the file; without a file there are no names."""

    def __init__(self, path: str = "/etc/passwd", monotonic: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._monotonic = monotonic
        self._names: dict[int, str] = {}
        self._version: _Version | None = None
        self._check_at = 0.0
        """When the file is looked at again, on the monotonic clock."""
        self._refresh(monotonic())

    def name(self, uid: int) -> str | None:
        """The user's name; None when the file names none."""
        now = self._monotonic()
        if now >= self._check_at:
            self._refresh(now)
        return self._names.get(uid)

    def _refresh(self, now: float) -> None:
        self._check_at = now + _CHECK_S
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            self._names, self._version = {}, None
            return
        with open(fd, "rb") as file:
            status = os.fstat(fd)
            version = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
            if version != self._version and stat.S_ISREG(status.st_mode):
                self._names = parse_passwd(file.read(_MOST_BYTES))
                self._version = version


def parse_passwd(content: bytes) -> dict[int, str]:
    """Names by uid; as for the C library, the first entry of a uid counts. Other lines are passed over."""
    names: dict[int, str] = {}
    for line in content.split(b"\n"):
        fields = line.split(b":")
        if len(fields) < 4 or not fields[0] or line[:1] in b"#+-" or not _is_uid(fields[2]):
            continue
        if len(names) >= _MOST_USERS:
            break
        names.setdefault(int(fields[2]), fields[0].decode(errors="replace"))
    return names


def _is_uid(field: bytes) -> bool:
    return field.isdigit() and len(field) <= _UID_DIGITS
