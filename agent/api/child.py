# SPDX-License-Identifier: Apache-2.0
"""The service's process, as the agent sees it: started, watched, ended."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Mapping
from contextlib import suppress

from agent.children import spawn

LISTEN_FD = 3
"""File descriptor of the listening socket in the child."""
LINK_FD = 4
"""File descriptor of the child's end of the socket pair."""
TCP_FD = 5
"""File descriptor of the second listening socket, for TCP, where there is one."""
MODULE = "agent.api.server"
"""What runs in the child when nothing else is named."""


class Child:
    """One running process of the service. It ends by itself when its end of the link is closed."""

    def __init__(self, fds: Mapping[int, int], options: str, module: str = "") -> None:
        """Starts it: `fds` are the child's descriptors and which of ours each of them is a copy of; `options`
        is its one argument, JSON. Raises OSError."""
        self.pid = spawn(["-m", module or MODULE, options], fds)
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
