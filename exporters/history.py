# SPDX-License-Identifier: Apache-2.0
"""What has to be known of the time before a runner's place: processes whose exec stands further back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent.log.entry import Cursor
from agent.log.reader import LogReader
from agent.log.segments import SegmentName, first_to_read_back

READ_BACK_BYTES = 128 << 20
"""At most so much of the live log is read back, in bytes; whole segments, but at least the current one."""
_KINDS = ("segment", "fork", "process_exec", "process_exit")


def learn_back(log_dir: Path, place: Cursor, learn: Callable[[dict[str, Any]], None]) -> int:
    """Feeds the records before `place` and returns how many. Raises LogUnavailable."""
    here = SegmentName.parse(place.segment)
    first = first_to_read_back(log_dir, here, READ_BACK_BYTES) if here else None
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
