# SPDX-License-Identifier: Apache-2.0
"""How fast an exporter may send, and how long it waits after a failure."""

from __future__ import annotations

import random
import time
from collections.abc import Callable


class Bucket:
    """A token bucket: `rate` events in a second, `burst` at once."""

    def __init__(self, rate: float, burst: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._most = rate, float(burst or max(1, round(rate)))
        self._tokens, self._at = self._most, monotonic()
        self._monotonic = monotonic

    def admit(self) -> bool:
        """Whether one more event may go now."""
        if self._tokens < 1:
            now = self._monotonic()
            self._tokens = min(self._most, self._tokens + (now - self._at) * self._rate)
            self._at = now
            if self._tokens < 1:
                return False
        self._tokens -= 1
        return True

    def rest(self) -> None:
        """To be called between batches: fills up what came in since, so that a quiet time counts."""
        now = self._monotonic()
        self._tokens = min(self._most, self._tokens + (now - self._at) * self._rate)
        self._at = now


class Backoff:
    """Waiting times that double from `first_s` to `most_s`, each with a random part of up to a half less, so
    that the nodes of a fleet do not come back in step."""

    def __init__(self, first_s: float, most_s: float, chance: Callable[[], float] = random.random) -> None:
        self._first, self._most, self._chance = first_s, most_s, chance
        self.failures = 0
        """How often in a row it has failed."""

    def next(self, asked_s: float | None = None, longest: bool = False) -> float:
        """Seconds to wait now: at least what the destination asked for, within an hour."""
        step = self._most if longest else min(self._most, self._first * 2 ** min(self.failures, 30))
        self.failures += 1
        return max(step * (1 - self._chance() / 2), min(asked_s or 0.0, 3600.0))

    def succeed(self) -> None:
        """It works again."""
        self.failures = 0
