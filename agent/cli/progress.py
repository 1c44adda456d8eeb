# SPDX-License-Identifier: Apache-2.0
"""How far a long piece of work is, on standard error, where that is a terminal; nothing elsewhere."""

from __future__ import annotations

import sys
import time
from typing import IO

WIDTH = 30
EACH_S = 0.1
"""At most so often it is drawn, in seconds."""
QUIET_S = 0.3
"""Work that ends within so many seconds shows nothing."""


class Progress:
    """A bar; call it with how much was done since the last call."""

    def __init__(self, what: str, total: int, stream: IO[str] | None = None) -> None:
        self._what = what
        self._total = max(total, 1)
        self._stream = sys.stderr if stream is None else stream
        self._shown = self._stream.isatty()
        self._done = 0
        self._drawn = False
        self._next = time.monotonic() + QUIET_S

    def __call__(self, amount: int) -> None:
        """So much more is done, in the unit of `total`."""
        self.at(self._done + amount, self._total)

    def at(self, done: int, total: int) -> None:
        """So much is done of so much, in any unit."""
        self._done, self._total = done, max(total, 1)
        if self._shown and time.monotonic() >= self._next:
            self._next = time.monotonic() + EACH_S
            self._draw()

    def close(self) -> None:
        """Removes the bar."""
        if self._drawn:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _draw(self) -> None:
        part = min(self._done / self._total, 1.0)
        full = round(part * WIDTH)
        self._stream.write(f"\r{self._what} [{'#' * full}{'.' * (WIDTH - full)}] {part:4.0%}\x1b[K")
        self._stream.flush()
        self._drawn = True
