# SPDX-License-Identifier: Apache-2.0
"""One runner per state directory: `STATE_DIR/NAME/lock`, held by flock, so it ends with the process."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from agent.errors import AlreadyRunning

NAME = "lock"


def take(directory: Path) -> int:
    """A file descriptor that holds the lock until it is closed. Raises AlreadyRunning, OSError."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    fd = os.open(directory / NAME, flags, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(fd)
        raise AlreadyRunning(
            f"the exporter {directory.name} runs already (pid {holder}) on {directory}",
            "stop that one first, or give this one another --state-dir",
        ) from None
    os.ftruncate(fd, 0)
    os.pwrite(fd, b"%d\n" % os.getpid(), 0)
    return fd


def is_held(directory: Path) -> bool:
    """Whether a runner is at work there."""
    try:
        fd = os.open(directory / NAME, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
