# SPDX-License-Identifier: Apache-2.0
"""Waiting that ends: naps that a signal interrupts, and calls that are given up after a time.

A client library may hang although it has timeouts of its own, so the runner puts one around every call: a
timer (ITIMER_REAL) whose signal raises in the main thread, which ends what Python waits for (PEP 475).
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

GRACE_S = 3.0
"""Seconds that a batch under way has left after SIGTERM."""


class Stopped(BaseException):
    """The runner was asked to end. No Exception: a destination must not take it for a failure of its own."""


class Hangs(BaseException):
    """A call took too long and was given up. No Exception, for the same reason."""


class Patience:
    """Signals and waiting of one runner. Where it is not installed, calls are not given up."""

    def __init__(self, *, grace_s: float = GRACE_S, parent_fd: int | None = None) -> None:
        """`parent_fd`: when its other end is closed, the runner stops."""
        self.stopping = False
        self._grace_s = grace_s
        self._calling = False
        self._parent_fd = parent_fd
        self._wake_fd, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._has_timer = False

    def install(self) -> None:
        """Takes over SIGTERM, SIGINT and SIGALRM for the rest of the process; in its main thread."""
        self._has_timer = True
        signal.signal(signal.SIGALRM, self._expired)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._asked)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)

    def stop(self) -> None:
        """Ends naps now, and the call under way after the grace period."""
        self.stopping = True
        with suppress(BlockingIOError):
            os.write(self._wake_write, b"x")

    def nap(self, seconds: float) -> None:
        """Waits. Raises Stopped."""
        watched = [self._wake_fd] if self._parent_fd is None else [self._wake_fd, self._parent_fd]
        deadline = time.monotonic() + seconds
        while not self.stopping:
            left = deadline - time.monotonic()
            ready = select.select(watched, [], [], max(0.0, left))[0]
            if self._wake_fd in ready:
                os.read(self._wake_fd, 64)
            if self._parent_fd in ready and not os.read(self._parent_fd or 0, 64):
                self.stopping = True
            if not ready and left <= 0:
                return
        raise Stopped

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Raises Hangs inside the block when it takes longer, Stopped when the runner is to end meanwhile."""
        if not self._has_timer:
            yield
            return
        self._calling = True
        try:
            signal.setitimer(signal.ITIMER_REAL, min(seconds, self._grace_s) if self.stopping else seconds)
            yield
        finally:
            self._calling = False  # first: a signal that is on its way must find nothing to interrupt
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _asked(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True
        if self._calling:
            signal.setitimer(signal.ITIMER_REAL, self._grace_s)

    def _expired(self, number: int, frame: FrameType | None) -> None:
        if self._calling:
            self._calling = False
            raise Stopped if self.stopping else Hangs
