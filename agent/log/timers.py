# SPDX-License-Identifier: Apache-2.0
"""What the writer has to do by time, and how far the clocks are to be trusted for it."""

from __future__ import annotations

from collections.abc import Callable

from agent.log.times import MILLISECOND_NS, SECOND_NS
from agent.settings import LogSettings

RETRY_SECONDS = 0.1
"""Pause between attempts while the disk refuses writes."""
AUDIT_SECONDS = 30.0
"""How often it is checked that the closed segments are still there."""
CLOCK_STEP_NS = SECOND_NS
"""The wall clock was set back when it stands this much before its last reading."""


class Timers:
    """Intervals run on a clock that never goes back (`monotonic`, seconds); `wall_ns` is wall-clock
    nanoseconds and may step in both directions."""

    def __init__(
        self, settings: LogSettings, wall_ns: Callable[[], int], monotonic: Callable[[], float]
    ) -> None:
        self.wall_ns = wall_ns
        self._monotonic = monotonic
        self.settings = settings
        self._retry_at = 0.0
        self._opened_ns = self._last_wall_ns = wall_ns()
        self._opened = self._begun = self._synced = self._audited = monotonic()

    def segment_begun(self) -> None:
        """The age of the open segment counts from here."""
        self._begun = self._monotonic()

    def segment_is_old(self) -> bool:
        """Whether the open segment has reached its greatest age."""
        return self._monotonic() - self._begun >= self.settings.segment_seconds

    def clock_went_back(self) -> bool:
        """Whether the wall clock was set back since the last call."""
        before_ns, self._last_wall_ns = self._last_wall_ns, self.wall_ns()
        return self._last_wall_ns < before_ns - CLOCK_STEP_NS

    def retry_due(self) -> bool:
        """Whether the disk may be tried again; the pause begins anew when it may."""
        now = self._monotonic()
        if now < self._retry_at:
            return False
        self._retry_at = now + RETRY_SECONDS
        return True

    def sync_due(self) -> bool:
        """Whether data has to be forced to disk; the interval begins anew when it has."""
        now = self._monotonic()
        if not 0 <= self.settings.fsync_seconds <= now - self._synced:
            return False
        self._synced = now
        return True

    def audit_due(self) -> bool:
        """Whether the closed segments have to be looked for; the interval begins anew when they have."""
        now = self._monotonic()
        if now - self._audited < AUDIT_SECONDS:
            return False
        self._audited = now
        return True

    def retention_ms(self) -> int:
        """The time that ages of segments are measured by, wall-clock milliseconds.

        A clock that was set forward must not empty the log: no more time has passed since the start
        than the other clock says.
        """
        elapsed_ns = int((self._monotonic() - self._opened) * SECOND_NS)
        return min(self.wall_ns(), self._opened_ns + elapsed_ns) // MILLISECOND_NS
