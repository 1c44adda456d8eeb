# SPDX-License-Identifier: Apache-2.0
"""What the log of the last run ends with, and repair of a last line that was not finished."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from agent.log.backwards import lines_backwards
from agent.log.records import sequence_of
from agent.log.segments import UNPUBLISHED, SegmentName, list_segments


class SegmentEnd(NamedTuple):
    """The last whole line of a segment."""

    size: int
    """Bytes up to and including the last whole line."""
    torn_bytes: int
    """Bytes after it: a line that was not finished, or garbage."""
    record: dict[str, Any] | None
    """The last whole line, parsed; None when the segment has none."""

    @property
    def sequence(self) -> int:
        """Sequence number of the last whole line, 0 when there is none."""
        return sequence_of(self.record) or 0


class Recovered(NamedTuple):
    """What the writer has to know of the runs before."""

    segments: list[SegmentName]
    """All segments that hold at least one line, oldest first."""
    last_sequence: int
    """Last sequence number used in this boot; 0 in a new boot or a new log."""
    last: dict[str, Any] | None
    """The last whole line of the log, of whatever boot; None in a new log."""
    last_record_sequence: int
    """Its sequence number; 0 in a new log."""
    torn_bytes: int
    """Bytes that were cut off or, for a segment without a whole line, removed."""
    same_boot: bool = True
    """Whether the last line is of this boot: then nothing that was written is gone, the kernel kept it. Else
    power may have been cut, and what was not forced to disk may be gone."""

    @property
    def unclean(self) -> bool:
        """Whether there was a run before that did not end with a `stop` record (or left torn bytes)."""
        stopped = self.last is not None and "stop" in self.last["tracehound"]
        return self.torn_bytes > 0 or (self.last is not None and not stopped)


def parse_line(line: bytes) -> dict[str, Any] | None:
    """A line of the log as a record; None when it is not one whole line of this log."""
    if not line.endswith(b"\n"):
        return None
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return record if sequence_of(record) is not None else None


def read_end(path: Path) -> SegmentEnd:
    """Finds the last whole line of a segment, whatever stands after it. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        total = os.fstat(fd).st_size
        for offset, line in lines_backwards(fd, total):
            record = parse_line(line)
            if record is not None:
                size = offset + len(line)
                return SegmentEnd(size, total - size, record)
        return SegmentEnd(0, total, None)
    finally:
        os.close(fd)


def read_head(path: Path) -> dict[str, Any] | None:
    """The `segment` record at the head of a segment; None when it is damaged. Raises OSError."""
    with open(path, "rb") as file:
        record = parse_line(file.readline())
    return record if record is not None and "segment" in record["tracehound"] else None


def recover(directory: Path, boot_id: str) -> Recovered:
    """Cuts off what the last run did not finish and tells where the log stands. Raises OSError.

    Only the newest segment is repaired; one without a single whole line is removed and the one before it
    is looked at. A boot that cannot be told (a damaged head) counts as this one: a gap between sequence
    numbers is better than the same number twice.
    """
    for unpublished in directory.glob(f"*.jsonl{UNPUBLISHED}"):
        unpublished.unlink()
    segments = list_segments(directory)
    torn_bytes = 0
    while segments:
        path = directory / str(segments[-1])
        end = read_end(path)
        torn_bytes += end.torn_bytes
        if end.record is not None:
            if end.torn_bytes:
                os.truncate(path, end.size)
            same = _is_boot(path, boot_id)
            sequence = end.sequence if same else 0
            return Recovered(segments, sequence, end.record, end.sequence, torn_bytes, same)
        path.unlink()
        segments.pop()
    return Recovered([], 0, None, 0, torn_bytes)


def _is_boot(path: Path, boot_id: str) -> bool:
    head = read_head(path)
    return head is None or head["tracehound"]["segment"].get("boot_id", boot_id) == boot_id
