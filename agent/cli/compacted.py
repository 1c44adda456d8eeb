# SPDX-License-Identifier: Apache-2.0
"""Records of compacted segments for `tracehound events` and `top`, read back from their Parquet files.

The log in two parts: the live tail, which LogReader reads and follows, and what is before it. Where a segment
could not be compacted and later ones were, its lines belong to the latter.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from agent.log.entry import Cursor, Entry, line_test, parse
from agent.log.segments import SegmentName, list_segments
from agent.log.window import LATE_NS, Window
from agent.store.layout import Source, compacted_segments, sources
from agent.store.live import chunks_of


def live_tail(directory: Path) -> list[SegmentName]:
    """The segments whose lines are there and that no compacted one follows, oldest first."""
    live = list_segments(directory)
    last = max(set(compacted_segments(directory)).difference(live), default=None)
    return [name for name in live if last is None or name > last]


def live_place(directory: Path, since_ns: int | None = None) -> Cursor:
    """Where the live tail begins that can hold records from a time on (wall-clock nanoseconds)."""
    names = Window(since_ns=since_ns).wanted(live_tail(directory))
    return Cursor(str(names[0]) if names else "", 0, 0)


def compacted_entries(
    directory: Path, since_ns: int | None, until_ns: int | None, types: Collection[str] | None
) -> Iterator[Entry]:
    """Records before the live tail, of the segments that may hold some of the period (wall-clock
    nanoseconds). What is compacted meanwhile comes as well. What cannot be read is told on standard error."""
    done: SegmentName | None = None
    while todo := [one for one in _before_tail(directory, since_ns) if done is None or one.name > done]:
        for source in todo:
            if until_ns is not None and source.name.created_ms * 1_000_000 > until_ns + LATE_NS:
                return
            yield from _told(directory, source, types)
            done = source.name


def last_compacted(
    directory: Path,
    count: int,
    before: Entry | None,
    since_ns: int | None,
    types: Collection[str] | None,
    wants: Callable[[Entry], bool],
) -> list[Entry]:
    """The last `count` wanted records before one (None: before the live tail), newest first."""
    at = SegmentName.parse(before.segment) if before is not None else None
    found: list[Entry] = []
    for source in reversed(_before_tail(directory, since_ns)):
        if count <= len(found) or (at is not None and source.name > at):
            continue
        entries = (
            entry
            for entry in _told(directory, source, types)
            if (before is None or source.name != at or entry.sequence < before.sequence) and wants(entry)
        )
        found += reversed(deque(entries, maxlen=count - len(found)))
    return found


def _before_tail(directory: Path, since_ns: int | None) -> list[Source]:
    tail = live_tail(directory)
    found = sources(directory)
    wanted = Window(since_ns=since_ns).wanted([source.name for source in found])
    return [one for one in found if (not tail or one.name < tail[0]) and wanted and one.name >= wanted[0]]


def _told(directory: Path, source: Source, types: Collection[str] | None) -> Iterator[Entry]:
    """Records of a segment; on standard error, why there are none."""
    try:
        yield from _entries(directory, source, types)
    except FileNotFoundError:
        return  # retention was faster
    except ImportError as error:
        _warn(f"compacted and left out: {error.name} is missing; install tracehound[store]", source)
    except (OSError, ValueError) as error:
        _warn(f"left out, its Parquet file is damaged: {error}", source)


def _warn(text: str, source: Source) -> None:
    print(f"tracehound: {source.name} is {text}", file=sys.stderr)


def _entries(directory: Path, source: Source, types: Collection[str] | None) -> Iterator[Entry]:
    test, offset = line_test(types), 0
    for line in _lines(directory, source):
        offset += len(line) + 1
        if test is not None and not test(line):
            continue
        parsed = parse(line)
        if parsed is not None:
            yield Entry(parsed[0], line, str(source.name), offset, parsed[1])


def _lines(directory: Path, source: Source) -> Iterator[bytes]:
    """Without their newlines."""
    if not source.compacted:
        for chunk in chunks_of(directory, source):
            yield from chunk
        return
    from agent.store.rebuild import lines

    for line in lines(source.path):
        yield line.rstrip(b"\n")
