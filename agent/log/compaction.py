# SPDX-License-Identifier: Apache-2.0
"""How a compacted segment takes the place of its lines.

Whoever writes the Parquet file only says that it is there; who holds the directory gives it its name, notes
it in the manifest and removes the lines, in this order: at every moment lines or named file are whole.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from agent.errors import TracehoundError
from agent.log.disk import sync_directory
from agent.log.ledger import Ledger
from agent.log.lock import DirectoryLock
from agent.log.manifest import Closed, Compacted, Compaction
from agent.log.marks import marks_path
from agent.log.segments import UNPUBLISHED, SegmentName, list_segments

STORE_NAME = "store"
"""Directory of the Parquet files, below the log directory."""


class CompactionRefused(TracehoundError):
    """A Parquet file does not stand for the segment that it is named after: the lines stay."""


def parquet_name(segment: str) -> str:
    """Path of a segment's Parquet file, below the log directory: `store/<name>.parquet`."""
    return f"{STORE_NAME}/{segment.removesuffix('.jsonl')}.parquet"


def compacted_names(directory: Path) -> list[SegmentName]:
    """Segments of which a Parquet file has its final name, oldest first, whatever the manifest says."""
    files = (directory / STORE_NAME).glob("*.parquet")
    return sorted(name for file in files if (name := SegmentName.parse(f"{file.stem}.jsonl")) is not None)


def compacted_fact(compaction: Compaction) -> Compacted:
    """What the manifest says of it."""
    return Compacted(
        segment=compaction.segment,
        sha256=compaction.sha256,
        parquet=parquet_name(compaction.segment),
        parquet_sha256=compaction.parquet_sha256,
        rows=compaction.rows,
        first_sequence=compaction.first_sequence,
        last_sequence=compaction.last_sequence,
    )


def check(compaction: Compaction, closed: Closed) -> None:
    """Raises CompactionRefused when it was made of other lines than those that were written."""
    made = compaction.sha256, compaction.rows, compaction.first_sequence, compaction.last_sequence
    if made != (closed.sha256, closed.lines, closed.first_sequence, closed.last_sequence):
        raise CompactionRefused(
            f"{compaction.segment} was compacted from lines that differ from those that were written",
            "`tracehound log verify` says what is wrong with the segment",
        )


def place(directory: Path, segment: str) -> int:
    """Gives the Parquet file its final name, on disk as well; returns its size in bytes. Raises OSError."""
    path = directory / parquet_name(segment)
    path.with_name(path.name + UNPUBLISHED).rename(path)
    sync_directory(path.parent)
    return path.stat().st_size


def displace(directory: Path, segment: str) -> None:
    """Takes the name away again. Raises OSError."""
    path = directory / parquet_name(segment)
    path.rename(path.with_name(path.name + UNPUBLISHED))


def publish_alone(directory: str | os.PathLike[str], compaction: Compaction) -> None:
    """`LogWriter.publish_compacted` where no agent runs: takes the lock of the directory for the moment.

    Raises AlreadyRunning when an agent does run, CompactionRefused, and OSError for what the disk does.
    """
    path = Path(directory)
    lock, ledger = DirectoryLock(path), Ledger(path)
    lock.take()
    try:
        closed = ledger.open().closed.get(compaction.segment)
        if closed is None or SegmentName.parse(compaction.segment) in list_segments(path)[-1:]:
            raise CompactionRefused(f"{compaction.segment} is not a closed segment of this log")
        check(compaction, closed)
        publish(path, ledger, compaction, time.time_ns())
        marks_path(path, compaction.segment).unlink(missing_ok=True)
        (path / compaction.segment).unlink(missing_ok=True)
    finally:
        lock.close()


def publish(directory: Path, ledger: Ledger, compaction: Compaction, wall_ns: int) -> int:
    """Names the Parquet file and notes it; the lines are still there then. Returns its size in bytes.

    `wall_ns`: wall-clock nanoseconds. Raises OSError; then everything is as it was.
    """
    size = place(directory, compaction.segment)
    try:
        ledger.note_compacted(compacted_fact(compaction), wall_ns)
    except OSError:
        displace(directory, compaction.segment)
        raise
    return size
