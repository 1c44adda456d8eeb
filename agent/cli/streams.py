# SPDX-License-Identifier: Apache-2.0
"""Standard streams that nobody reads any more, or that do not wait for who reads them."""

from __future__ import annotations

import io
import os
import select
from typing import IO, Any

OUTPUT_CLOSED = "standard output was closed"
"""Reason of the end when the reader of a pipe has seen enough."""


def abandon(stream: IO[str]) -> None:
    """Point a stream that cannot be written at nothing, so that the interpreter's last flush succeeds."""
    try:
        number = os.open(os.devnull, os.O_WRONLY)
        os.dup2(number, stream.fileno())
        os.close(number)
    except (OSError, ValueError):
        return


class _Waiting(io.FileIO):
    """A descriptor that does not block, written as if it did. Its mode stays as it is: others share it."""

    def write(self, data: Any, /) -> int:
        while (written := super().write(data)) is None:  # full: io.RawIOBase says so by None
            poll = select.poll()
            poll.register(self, select.POLLOUT)
            poll.poll()
        return written


def patient(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    """A stream that waits where its descriptor does not block: somebody else who has the same pipe wants it
    so (O_NONBLOCK belongs to the open file, fcntl(2)). Output would else end where the pipe is full."""
    try:
        if os.get_blocking(number := stream.fileno()):
            return stream
    except (OSError, ValueError):
        return stream
    waiting = io.BufferedWriter(_Waiting(number, "w", closefd=False))
    return io.TextIOWrapper(waiting, stream.encoding, stream.errors, line_buffering=stream.line_buffering)
