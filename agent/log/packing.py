# SPDX-License-Identifier: Apache-2.0
"""What lines are going to take as a Parquet file: measured where segments became one, assumed before that."""

from __future__ import annotations

from collections import deque

AT_LEAST = 1 / 12
"""Share of the lines' bytes that is reckoned with in any case; with the index it is about a seventeenth
(docs/performance.md, store: 51 bytes of about 900)."""
RECENT = 8
"""Segments that are measured."""
SMALLEST_BYTES = 1 << 20
"""Segments of less than this tell nothing: a Parquet file has a head and a dictionary however short it is."""


class Packing:
    """Remembers the last segments that were compacted."""

    def __init__(self) -> None:
        self._recent: deque[tuple[int, int]] = deque(maxlen=RECENT)

    def note(self, lines_bytes: int, parquet_bytes: int) -> None:
        """So many bytes of lines became so many."""
        if lines_bytes >= SMALLEST_BYTES:
            self._recent.append((lines_bytes, parquet_bytes))

    def estimate(self, lines_bytes: int) -> int:
        """Bytes that lines are going to take: never more than they do."""
        before = sum(one for one, _ in self._recent)
        share = sum(one for _, one in self._recent) / before if before else AT_LEAST
        return int(lines_bytes * min(max(share, AT_LEAST), 1))
