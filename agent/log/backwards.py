# SPDX-License-Identifier: Apache-2.0
"""Lines of a file from its end to its beginning, without reading more than is asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator

BLOCK_BYTES = 1 << 16


def lines_backwards(fd: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Yields (offset, line) of the first `end` bytes, last line first, each with its newline.

    Only the very first one yielded can lack the newline: a line that is not complete. Memory is bounded
    by the longest line; the block grows until it holds a whole one.
    """
    start, held, block = end, b"", BLOCK_BYTES
    while start > 0:
        size = min(block, start)
        start -= size
        held = os.pread(fd, size, start) + held
        cut = held.find(b"\n") + 1
        if start > 0 and cut in (0, len(held)):
            block *= 2
            continue
        if start == 0:
            cut = 0
        yield from _split(held, cut, start)
        held, block = held[:cut], BLOCK_BYTES


def _split(held: bytes, begin: int, base: int) -> Iterator[tuple[int, bytes]]:
    end = len(held)
    while end > begin:
        at = held.rfind(b"\n", begin, end - 1) + 1 or begin
        yield base + at, held[at:end]
        end = at
