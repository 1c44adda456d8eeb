# SPDX-License-Identifier: Apache-2.0
"""How many records of the log lie behind a place: told from the names of segments, without reading them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from agent.log.entry import Cursor, sequence_in
from agent.log.opened import OpenedSegment
from agent.log.segments import SegmentName, list_segments

LAST_BYTES = 1 << 16


def events_behind(directory: Path, cursor: Cursor) -> int:
    """Records after `cursor`, own ones included. Removed ones are counted within a boot."""
    try:
        names = list_segments(directory)
    except OSError:
        return 0
    here = SegmentName.parse(cursor.segment)
    names = [name for name in names if here is None or name >= here]
    if not names:
        return 0
    first = cursor.sequence if here is not None else names[0].first_sequence - 1
    total, read = 0, first
    for name, following in pairwise(names):
        if following.first_sequence <= read or following.first_sequence == 1:  # the next boot
            total += max(0, _last_sequence(directory, name) - read)
            read = following.first_sequence - 1
    return total + max(0, _last_sequence(directory, names[-1]) - read)


def _last_sequence(directory: Path, name: SegmentName) -> int:
    """Of the last whole line, found in the last bytes; too small when a longer line stands there."""
    try:
        segment = OpenedSegment(directory, name)
    except OSError:
        return name.first_sequence
    try:
        segment.offset = max(0, segment.size() - LAST_BYTES)
        lines = next(segment.chunks(), b"").split(b"\n")
        return max(map(sequence_in, lines[-8:])) or name.first_sequence
    finally:
        segment.close()
