# SPDX-License-Identifier: Apache-2.0
"""A limit on the CPU time that a client's filters may take.

Python's `re` backtracks, so a short pattern can take years on a short text, and it cannot be asked to
stop from outside. It does look for signals while it matches (every 4,096 steps), and what a signal
handler raises ends the match. So a timer of CPU time (ITIMER_VIRTUAL: other processes do not count) is
armed around the filters of a batch of events.
"""

from __future__ import annotations

import signal
from types import FrameType, TracebackType


class TooSlow(Exception):
    """The filters took more CPU time than they may."""


class TimeLimit:
    """Context manager that raises TooSlow inside its block. For the main thread; blocks do not nest."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._armed = False

    def install(self) -> None:
        """Takes over SIGVTALRM; once per process, before the first block."""
        signal.signal(signal.SIGVTALRM, self._expired)

    def __enter__(self) -> None:
        self._armed = True
        signal.setitimer(signal.ITIMER_VIRTUAL, self.seconds)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._armed = False  # first: a signal that is on its way must find nothing to interrupt
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)

    def _expired(self, number: int, frame: FrameType | None) -> None:
        if self._armed:
            self._armed = False
            raise TooSlow(f"the filters took more than {self.seconds:g} s of CPU time for a few events")
