# SPDX-License-Identifier: Apache-2.0
"""What has to be known of the time before a runner's place: processes whose exec stands further back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent.log.entry import Cursor
from agent.log.reader import LogReader
from agent.log.segments import SegmentName, list_segments

READ_BACK_BYTES = 128 << 20
"""At most so much of the live log is read back, in bytes; whole segments, but at least the current one."""
_KINDS = ("segment", "fork", "process_exec", "process_exit")


def learn_back(log_dir: Path, place: Cursor, learn: Callable[[dict[str, Any]], None]) -> int:
    """Feeds the records before `place` and returns how many. Raises LogUnavailable."""
    here = SegmentName.parse(place.segment)
    first = _first_segment(log_dir, here) if here else None
    if here is None or first is None:
        return 0
    count = 0
    for entry in LogReader(log_dir).read(Cursor(str(first), 0, first.first_sequence - 1), types=_KINDS):
        name = SegmentName.parse(entry.segment)
        if name is None or name > here or (name == here and entry.offset > place.offset):
            break
        if entry.line:
            learn(entry.record)
            count += 1
    return count


def _first_segment(log_dir: Path, here: SegmentName) -> SegmentName | None:
    chosen, total = None, 0
    for name in reversed([one for one in list_segments(log_dir) if one <= here]):
        try:
            total += (log_dir / str(name)).stat().st_size
        except FileNotFoundError:
            break
        if chosen is not None and total > READ_BACK_BYTES:
            break
        chosen = name
    return chosen
