# SPDX-License-Identifier: Apache-2.0
"""Standard streams that nobody reads any more."""

from __future__ import annotations

import os
from typing import IO

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
