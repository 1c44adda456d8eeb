# SPDX-License-Identifier: Apache-2.0
"""How many lines may be taken: so many in a second, a second's worth at once. Pure."""

from __future__ import annotations


class Bucket:
    """Lines of a piece are all taken, so it may go below nothing: then less is taken later."""

    def __init__(self, a_second: int) -> None:
        self._rate = self._left = float(a_second)
        self._at_s: float | None = None

    def has_room(self, now_s: float) -> bool:
        """Whether another piece may be read; monotonic seconds."""
        if self._at_s is not None:
            self._left = min(self._rate, self._left + (now_s - self._at_s) * self._rate)
        self._at_s = now_s
        return self._left > 0

    def take(self, count: int) -> None:
        """So many lines were taken."""
        self._left -= count
