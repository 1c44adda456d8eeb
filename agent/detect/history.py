# SPDX-License-Identifier: Apache-2.0
"""What a worker has to know of the log before it begins: where, whom there was before, what was told
already."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from agent.detect.engine import CALLS
from agent.detect.stories import Told
from agent.log.entry import Cursor, Entry
from agent.log.reader import LogReader
from agent.log.segments import SegmentName, first_to_read_back
from agent.log.times import format_time, parse_time

READ_BACK_BYTES = 128 << 20
"""At most so much of the live log is read back for processes, in bytes; at least the current segment."""
WARM_NS = 60_000_000_000
"""What engines remember of events themselves (names that were asked of DNS) is not older, in nanoseconds."""
_PROCESSES = ("segment", "fork", "process_exec", "process_exit")


def told_since(log_dir: Path, place: Cursor) -> tuple[Cursor, set[str], str]:
    """The end of the log, keys of the records that were told after a place, and the version of the rules that
    the last of them named (empty: none). Raises LogUnavailable."""
    reader = LogReader(log_dir)
    end, keys, version = reader.end(), set(), ""
    for entry in reader.read(place if place.segment else None, types=("detection", "story", "rules")):
        told = _told(entry)
        if told is not None and told.kind == "rules":
            version = str(told.content.get("version", ""))
        elif told is not None:
            keys.add(told.key)
    return end, keys, version


def _told(entry: Entry) -> Told | None:
    own = entry.record.get("tracehound")
    for kind in ("detection", "story", "rules"):
        content = own.get(kind) if isinstance(own, dict) else None
        if isinstance(content, dict):
            return Told(kind, content, None)
    return None


def learn_back(
    log_dir: Path,
    place: Cursor,
    learn: Callable[[dict[str, Any]], object],
    warm: Callable[[dict[str, Any]], object],
) -> int:
    """Feeds what was before a place, oldest first: to `learn` what is said of processes, to `warm` what else
    happened in the last WARM_NS. Returns how many records. Raises LogUnavailable."""
    here = SegmentName.parse(place.segment)
    first = first_to_read_back(log_dir, here, READ_BACK_BYTES) if here else None
    if here is None or first is None:
        return 0
    count, since = 0, _warm_since(log_dir, place)
    start = Cursor(str(first), 0, first.first_sequence - 1)
    for entry in LogReader(log_dir).read(start, types=(*_PROCESSES, *CALLS)):
        name = SegmentName.parse(entry.segment)
        if name is None or name > here or (name == here and entry.offset > place.offset):
            break
        is_call = next(iter(entry.record), "") in CALLS
        if not entry.line or (is_call and str(entry.record.get("time")) < since):
            continue
        (warm if is_call else learn)(entry.record)
        count += 1
    return count


def earliest(log_dir: Path) -> Cursor:
    """Where to begin when nobody knows where rules were: as far back as processes are learnt. What was told
    since then is found in the log, and not told again. Raises LogUnavailable."""
    end = LogReader(log_dir).end()
    here = SegmentName.parse(end.segment)
    first = first_to_read_back(log_dir, here, READ_BACK_BYTES) if here else None
    return Cursor(str(first), 0, first.first_sequence - 1) if first else end


def _warm_since(log_dir: Path, place: Cursor) -> str:
    """A time of the log; after everything when there is nothing before the place."""
    for entry in LogReader(log_dir).last(1, before=place):
        with suppress(ValueError, KeyError, AttributeError):
            return format_time(max(0, parse_time(entry.record["time"]) - WARM_NS))
    return "9"
