# SPDX-License-Identifier: Apache-2.0
"""The service's process, as the agent sees it: started, watched, ended."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

LISTEN_FD = 3
"""File descriptor of the listening socket in the child."""
LINK_FD = 4
"""File descriptor of the child's end of the socket pair."""
TCP_FD = 5
"""File descriptor of the second listening socket, for TCP, where there is one."""
_FREE_FD = 10  # where the agent's copies are put, so that they are not among the child's numbers
MODULE = "agent.api.server"
"""What runs in the child when nothing else is named."""
_RESET = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD, signal.SIGQUIT)


class Child:
    """One running process of the service. It ends by itself when its end of the link is closed."""

    def __init__(self, fds: Mapping[int, int], options: str, module: str = "") -> None:
        """Starts it: `fds` are the child's descriptors and which of ours each of them is a copy of; `options`
        is its one argument, JSON. Raises OSError."""
        self.pid = _spawn(fds, options, module or MODULE)
        """Process id."""
        self.started_s = time.monotonic()
        """When it was started, monotonic seconds."""
        try:
            self.pidfd = os.pidfd_open(self.pid)
            """Readable once the process has ended."""
        except OSError:
            os.kill(self.pid, signal.SIGKILL)  # not yet reaped, so the number is still its own
            os.waitpid(self.pid, 0)
            raise

    def reap(self) -> int | None:
        """Exit status as in `os.waitstatus_to_exitcode`; None while it runs. Never waits."""
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:  # somebody else collected it: it has ended, how is not known
            return 0
        return os.waitstatus_to_exitcode(status) if pid else None

    def end(self, grace_s: float) -> None:
        """Waits until it has ended; after the grace period it is killed."""
        try:
            if not select.select([self.pidfd], [], [], grace_s)[0]:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(self.pid, 0)
        finally:
            self.close()

    def close(self) -> None:
        """Forgets the process once it is reaped."""
        os.close(self.pidfd)


def _spawn(fds: Mapping[int, int], options: str, module: str) -> int:
    """posix_spawn: the agent's memory is not copied, and its signal mask is not inherited."""
    copies = {place: _high_copy(fd) for place, fd in fds.items()}
    try:
        return os.posix_spawn(
            sys.executable,
            [sys.executable, "-P", "-m", module, options],
            _environment(),
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, 2, 1),  # standard output belongs to the agent's events
                *((os.POSIX_SPAWN_DUP2, copy, place) for place, copy in copies.items()),
            ],
            setsigmask=[],
            setsigdef=_RESET,
        )
    finally:
        for copy in copies.values():
            os.close(copy)


def _high_copy(fd: int) -> int:
    import fcntl

    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FREE_FD)


def _environment() -> dict[str, str]:
    """The agent's own, and where this package lies: the child must not look into its working directory."""
    root = str(Path(__file__).parents[2])
    inherited = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{root}:{inherited}" if inherited else root}
