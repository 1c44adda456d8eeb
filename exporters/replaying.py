# SPDX-License-Identifier: Apache-2.0
"""Sending a part of the log once more: which part a request means, and that it is carried out once."""

from __future__ import annotations

from pathlib import Path

from agent.log.entry import Cursor
from agent.log.reader import LogReader
from agent.log.segments import SegmentName
from agent.log.times import MILLISECOND_NS
from exporters.control import Replay, write_privately
from exporters.cursor import Place, place_at

NAME = "replayed"


def is_due(request: Replay | None, directory: Path) -> bool:
    """Whether there is a request that was not carried out yet."""
    return request is not None and _last(directory) != request.id


def done(request: Replay, directory: Path) -> None:
    """It was carried out. Raises OSError."""
    write_privately(directory / NAME, request.id.encode())


def bounds(log_dir: Path, request: Replay) -> tuple[Place, Cursor | None]:
    """From where to where; without an end it goes on. Raises LogUnavailable.

    What was compacted is sent from the beginning of the segment that was begun last before the wanted time.
    """
    reader = LogReader(log_dir)
    begin = _compacted(log_dir, request.since_ns) or place_at(reader, request.since_ns)
    end = None if request.until_ns is None else place_at(reader, request.until_ns + 1)
    return Place(begin, ""), end


def _compacted(log_dir: Path, since_ns: int) -> Cursor | None:
    """The beginning of a compacted segment; None when the wanted time is later than all of them."""
    try:
        from agent.store.layout import compacted_segments

        compacted = compacted_segments(log_dir)
    except (ImportError, OSError):
        return None
    live = [name for name in _live(log_dir) if name not in set(compacted)]
    if not compacted or (live and live[0].created_ms * MILLISECOND_NS <= since_ns):
        return None
    before = [name for name in compacted if name.created_ms * MILLISECOND_NS <= since_ns]
    chosen = before[-1] if before else compacted[0]
    return Cursor(str(chosen), 0, chosen.first_sequence - 1)


def _live(log_dir: Path) -> list[SegmentName]:
    from agent.log.segments import list_segments

    return list_segments(log_dir)


def _last(directory: Path) -> str:
    try:
        return (directory / NAME).read_text().strip()
    except OSError:
        return ""
