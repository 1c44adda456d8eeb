# SPDX-License-Identifier: Apache-2.0
"""Dispatchers on their way out. When the last program leaves a function, the kernel waits until no task can
run in its trampoline any more, a tenth of a second each, one after the other (Linux kernel/trace/ftrace.c,
ftrace_shutdown). Nothing is judged there since its slot was emptied: a change waits for a few and leaves the
others to a thread."""

from __future__ import annotations

import time
from collections import deque
from threading import Lock, Thread
from typing import Protocol

PATIENCE_S = 2.0
"""How long one change waits in all."""


class Leaves(Protocol):
    """agent.kernel.places.Place."""

    def close(self) -> None:
        """Detaches."""


class Leaving:
    """What is detached after hooks were removed."""

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = self._left_s = patience_s
        self._waiting: deque[Leaves] = deque()
        self._lock = Lock()
        self._works = False
        self._thread: Thread | None = None

    def close(self, place: Leaves) -> None:
        """Now, or soon."""
        if self._left_s > 0:
            begun = time.monotonic()
            place.close()
            self._left_s -= time.monotonic() - begun
            return
        with self._lock:
            self._waiting.append(place)
            if not self._works:
                self._works = True
                self._thread = Thread(target=self._work, name="leaving")
                self._thread.start()

    def finish(self) -> None:
        """The change is done."""
        self._left_s = self._patience_s

    def wait(self) -> None:
        """Until all have left."""
        if self._thread:
            self._thread.join()

    def _work(self) -> None:
        while place := self._next():
            place.close()

    def _next(self) -> Leaves | None:
        with self._lock:
            self._works = bool(self._waiting)
            return self._waiting.popleft() if self._waiting else None
