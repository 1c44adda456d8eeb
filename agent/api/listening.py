# SPDX-License-Identifier: Apache-2.0
"""The control socket's file: made, guarded against a second owner, and removed."""

from __future__ import annotations

import errno
import fcntl
import grp
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from agent.errors import AlreadyRunning, PermissionMissing, SettingsError, TracehoundError

BACKLOG = 512
"""Connections that may wait while the service starts or its table is full."""
MODE = 0o660
LONGEST_PATH = 107
"""Bytes in `sockaddr_un.sun_path`, the final NUL aside (unix(7))."""
PREDECESSOR_S = 1.0
"""How long the service of an agent that just died may still hold the socket, in seconds."""


class Listening(NamedTuple):
    """A bound, listening control socket."""

    sock: socket.socket
    """Non-blocking; accepting is left to the service's process."""
    path: str
    """Its file."""
    inode: int
    """Inode of that file, to recognise it when it is removed."""

    def remove(self) -> None:
        """Closes the socket and removes its file, unless somebody else put another one there."""
        self.sock.close()
        with suppress(OSError):  # gone or read-only: nothing is left to do about it
            if os.lstat(self.path).st_ino == self.inode:
                Path(self.path).unlink()


def listen(path: str, group: str) -> Listening:
    """A listening socket at this path, mode 0660, in the group when this machine has it.

    The file of an agent that is gone is replaced. Raises AlreadyRunning when somebody listens there.
    """
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise SettingsError([f"api.socket: {path!r} is longer than {LONGEST_PATH} bytes"])
    try:
        Path(path).parent.mkdir(0o755, parents=True, exist_ok=True)
        with _directory_lock(path):
            _remove_stale(path)
            return _bind(path, group)
    except PermissionError as error:
        raise PermissionMissing(
            f"the control socket {path} cannot be made: {error.strerror}",
            "run as root, or set api.socket to a path that you may write",
        ) from None
    except OSError as error:
        raise TracehoundError(
            f"the control socket {path} cannot be made: {error.strerror}",
            "set api.socket to another path, or to an empty string to switch the service off",
        ) from None


@contextmanager
def _directory_lock(path: str) -> Iterator[None]:
    """Keeps two agents that start at once from removing each other's new file."""
    fd = os.open(Path(path).parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _remove_stale(path: str) -> None:
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise TracehoundError(
                f"{path} exists and is not a socket", "move it away, or set api.socket to another path"
            )
    except FileNotFoundError:
        return
    deadline = time.monotonic() + PREDECESSOR_S
    while _somebody_listens(path):
        if time.monotonic() > deadline:
            raise AlreadyRunning(
                f"another process serves the control socket {path}",
                "stop the other agent, or set api.socket to another path",
            )
        time.sleep(0.05)
    Path(path).unlink(missing_ok=True)


def _somebody_listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        code = probe.connect_ex(path)
    return code not in (errno.ECONNREFUSED, errno.ENOENT)


def _bind(path: str, group: str) -> Listening:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    before = os.umask(0o777 & ~MODE)
    try:
        made.bind(path)
    except OSError:
        made.close()
        raise
    finally:
        os.umask(before)
    _give_to_group(path, group)
    made.listen(BACKLOG)
    return Listening(made, path, os.lstat(path).st_ino)


def _give_to_group(path: str, group: str) -> None:
    """Without such a group, or without the right to use it, the socket stays in the agent's own."""
    with suppress(KeyError, PermissionError):
        os.chown(path, -1, grp.getgrnam(group).gr_gid)
