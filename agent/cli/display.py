# SPDX-License-Identifier: Apache-2.0
"""Writing to a standard stream without ever waiting for who reads it: a terminal that is stopped (Ctrl-S) or
a pipe that nobody empties must not hold the agent up."""

from __future__ import annotations

import os
import select
import stat
import time
from contextlib import suppress

WAITING_BYTES = 1 << 20
"""Most that is kept for a reader that is slow; what comes then is left out, and counted."""


class Display:
    """One stream. `write` and `flush` raise OSError as write(2) does, but never for want of room."""

    def __init__(self, fd: int) -> None:
        self.left_out = 0
        """Lines that found no room since the last `missing`."""
        self._waiting = bytearray()
        self._own = _without_waiting(fd)
        self._fd = fd if self._own is None else self._own

    def write(self, text: bytes, lines: int = 1) -> None:
        """Shows the text, now or with one of the next calls, or leaves it out as a whole."""
        self.flush()
        if len(self._waiting) + len(text) > WAITING_BYTES and self._waiting:
            self.left_out += lines
            return
        self._waiting += text
        self.flush()

    def flush(self) -> None:
        """As much of what waits as there is room for."""
        while self._waiting:
            try:
                written = os.write(self._fd, self._waiting)
            except BlockingIOError:
                return
            del self._waiting[:written]

    def missing(self) -> int:
        """How many lines were left out, once there is room again; then the count begins anew."""
        if self._waiting:
            return 0
        count, self.left_out = self.left_out, 0
        return count

    def close(self, patience_s: float = 1.0) -> None:
        """Gives a reader so long to take the rest."""
        end = time.monotonic() + patience_s
        with suppress(OSError):
            self.flush()
            while self._waiting and (left := end - time.monotonic()) > 0:
                select.select([], [self._fd], [], left)
                self.flush()
        if self._own is not None:
            os.close(self._own)
            self._own = None


def _without_waiting(fd: int) -> int | None:
    """The same pipe or terminal opened once more: O_NONBLOCK belongs to what was opened, and this one is
    shared with the shell. None where that is not possible, or not needed, as with files."""
    try:
        mode = os.fstat(fd).st_mode
        if stat.S_ISFIFO(mode) or os.isatty(fd):
            return os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError:
        pass
    return None
