# SPDX-License-Identifier: Apache-2.0
"""Names of segments and the list of those in a directory.

A name is `<created, unix ms, 13 digits>-<first sequence, 12 digits>.jsonl`. The writer hands out strictly
rising creation times (a clock that was set back does not lead to a lower name), so names sort in the
order in which the segments were written.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple, Self

_PATTERN = re.compile(r"(\d{13})-(\d{12,})\.jsonl", re.ASCII)
_HIGHEST_MS = 10**13 - 1

UNPUBLISHED = ".new"
"""Appended to the name of a segment until its first line is written."""


class SegmentName(NamedTuple):
    """What a segment's file name says."""

    created_ms: int
    """When it was begun, wall-clock milliseconds, or a little later; never earlier than a record of the
    segments before it by the clock of that time."""
    first_sequence: int
    """Sequence number of its first line, the `segment` record."""

    def __str__(self) -> str:
        return f"{self.created_ms:013d}-{self.first_sequence:012d}.jsonl"

    @classmethod
    def parse(cls, name: str) -> Self | None:
        """None when the file is not a segment."""
        match = _PATTERN.fullmatch(name)
        return cls(int(match[1]), int(match[2])) if match else None


def list_segments(directory: Path) -> list[SegmentName]:
    """All segments of the directory, oldest first. Raises OSError when it cannot be read. What is no file is
    none: a pipe of that name would hold up who opens it."""
    with os.scandir(directory) as entries:
        names = ((SegmentName.parse(entry.name), entry) for entry in entries)
        return sorted(name for name, entry in names if name is not None and entry.is_file())


def next_name(wall_ms: int, after_ms: int, first_sequence: int) -> SegmentName:
    """A name that sorts after everything begun up to `after_ms` (both wall-clock milliseconds)."""
    return SegmentName(min(max(wall_ms, after_ms + 1, 0), _HIGHEST_MS), first_sequence)


def first_to_read_back(log_dir: Path, here: SegmentName, most_bytes: int) -> SegmentName | None:
    """Of the segments up to `here` the oldest one that whoever needs the past begins with: whole segments of
    at most so many bytes together, but at least the last one. None when none is left."""
    chosen, total = None, 0
    for name in reversed([one for one in list_segments(log_dir) if one <= here]):
        try:
            total += (log_dir / str(name)).stat().st_size
        except FileNotFoundError:
            break
        if chosen is not None and total > most_bytes:
            break
        chosen = name
    return chosen
