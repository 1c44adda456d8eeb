# SPDX-License-Identifier: Apache-2.0
"""Shedding in a fixed order: bulk events first, then the detail of exits, then exits; execs never.

Pure: the daemon feeds the ring's fill and the time, and acts on the step that comes back.
"""

from __future__ import annotations

from typing import NamedTuple

from agent.settings import OverloadSettings

SHED_NOTHING, SHED_BULK, SHED_EXIT_DETAIL, SHED_EXIT = range(4)
"""enum shed_step of kprobes/include/wire.h."""
STEP_NAMES = ("nothing", "bulk", "exit_detail", "exit")
_CALM_FILL = 0.10


class Change(NamedTuple):
    """A step taken or taken back: the content of a `degraded` record."""

    step: int
    from_step: int
    reason: str


class Overload:
    """Steps up at once when the ring fills, one step down after it has been calm for a while."""

    def __init__(self, settings: OverloadSettings) -> None:
        self.step = SHED_NOTHING
        self._settings = settings
        self._calm_since_s: float | None = None

    def observe(self, fill: float, now_s: float) -> Change | None:
        """The next step, one at a time: to be called until it returns None. `fill` is the ring's backlog as a
        fraction, `now_s` monotonic seconds."""
        wanted = self._wanted(fill)
        if wanted > self.step:
            self._calm_since_s = None
            return self._go(self.step + 1, f"ring {fill:.0%} full")
        if fill >= _CALM_FILL or self.step == SHED_NOTHING:
            self._calm_since_s = None
            return None
        if self._calm_since_s is None:
            self._calm_since_s = now_s
            return None
        if now_s - self._calm_since_s < self._settings.recover_seconds:
            return None
        self._calm_since_s = now_s
        calm_s = self._settings.recover_seconds
        return self._go(self.step - 1, f"ring below {_CALM_FILL:.0%} for {calm_s:g} s")

    def _wanted(self, fill: float) -> int:
        settings = self._settings
        steps = (settings.shed_bulk_fraction, settings.shed_exit_detail_fraction, settings.shed_exit_fraction)
        return sum(fill > step for step in steps)

    def _go(self, step: int, reason: str) -> Change:
        change = Change(step, self.step, reason)
        self.step = step
        return change
