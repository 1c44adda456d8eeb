# SPDX-License-Identifier: Apache-2.0
"""How many events a second a client wants at most: a bucket of tokens, and a count of what it held back."""

from __future__ import annotations

import time
from collections.abc import Callable

TOLD_S = 1.0
"""How often a client is told what was held back, in seconds."""


class Rate:
    """`per_s` events in a second, as many at once."""

    def __init__(self, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s, self._clock = per_s, clock
        self._tokens = self._most = max(1.0, per_s)
        self._at = self._told_at = clock()
        self._held_back = 0

    def take(self, wanted: int) -> int:
        """How many of so many events may be sent now; the others are counted as held back."""
        now = self._clock()
        self._tokens = min(self._most, self._tokens + (now - self._at) * self._per_s)
        self._at = now
        passed = min(wanted, int(self._tokens))
        self._tokens -= passed
        self._held_back += wanted - passed
        return passed

    @property
    def owes(self) -> bool:
        """Whether something is left to tell."""
        return self._held_back > 0

    def to_tell(self) -> int:
        """How many were held back since the client was told last; 0 when none, or when that is too soon."""
        now = self._clock()
        if not self._held_back or now - self._told_at < TOLD_S:
            return 0
        count, self._held_back, self._told_at = self._held_back, 0, now
        return count
