# SPDX-License-Identifier: Apache-2.0
"""Builds `lineage.sqlite` anew from the Parquet files: after damage, or with another version. Needs
pyarrow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from agent.store.alone import alone
from agent.store.expiry import lasting
from agent.store.index import IndexWriter
from agent.store.layout import UNPUBLISHED, compacted_segments, index_path, parquet_path
from agent.store.reading import SegmentReading


def reindex(log_dir: Path, progress: Callable[[int, int], None] | None = None) -> tuple[int, list[str]]:
    """Returns how many segments are in the new index, and a sentence for each that could not be read.

    The old index answers until the new one takes its place. Raises AlreadyRunning while a compactor is at
    work, and OSError.
    """
    with alone(log_dir):
        return _reindex(log_dir, progress)


def _reindex(log_dir: Path, progress: Callable[[int, int], None] | None) -> tuple[int, list[str]]:
    path = index_path(log_dir)
    new = path.with_name(path.name + UNPUBLISHED)
    _remove(new)
    names, problems = lasting(log_dir, compacted_segments(log_dir)), []
    index = IndexWriter(new)
    for number, name in enumerate(names):
        if progress is not None:
            progress(number, len(names))
        try:
            _add(index, parquet_path(log_dir, name), str(name))
        except FileNotFoundError:
            continue  # retention was faster
        except (ValueError, OSError) as error:
            problems.append(f"{name}: {error}")
    count = len(index.segments())
    index.close()
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    new.replace(path)
    path.with_name(path.name + ".damaged").unlink(missing_ok=True)
    return count, problems


def _add(index: IndexWriter, path: Path, name: str) -> None:
    reading = SegmentReading(path)
    for _ in reading.tables():
        pass
    index.add(reading.facts(name), reading.lives, reading.notes)


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
