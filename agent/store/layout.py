# SPDX-License-Identifier: Apache-2.0
"""Where the store's files lie below the log directory, and which of them are there. Pure but for listing."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from agent.log.segments import SegmentName, list_segments

STORE = "store"
SUFFIX = ".parquet"
UNPUBLISHED = ".new"
"""Behind the name of a Parquet file until the agent has noted it in the manifest."""
INDEX = "lineage.sqlite"


class Source(NamedTuple):
    """One segment, in the form in which it is to be read."""

    name: SegmentName
    path: Path
    compacted: bool
    """Whether `path` is a Parquet file."""


def store_dir(log_dir: Path) -> Path:
    """The directory of the store."""
    return log_dir / STORE


def index_path(log_dir: Path) -> Path:
    """The index of processes."""
    return log_dir / STORE / INDEX


def parquet_path(log_dir: Path, name: SegmentName) -> Path:
    """The Parquet file of a segment, under its final name."""
    return log_dir / STORE / (str(name).removesuffix(".jsonl") + SUFFIX)


def compacted_segments(log_dir: Path) -> list[SegmentName]:
    """Segments that stand in Parquet files, oldest first; none without a store. Raises PermissionError."""
    return sorted(_parquet_names(log_dir))


def sources(log_dir: Path) -> list[Source]:
    """Every segment once, oldest first: its Parquet file where that is there, else its lines.

    The lines are looked for first: a segment that is compacted between the two looks is found by the second.
    Raises OSError when the directory cannot be read.
    """
    lines = {name: Source(name, log_dir / str(name), False) for name in list_segments(log_dir)}
    tables = {name: Source(name, parquet_path(log_dir, name), True) for name in _parquet_names(log_dir)}
    return sorted((lines | tables).values())


def pending(log_dir: Path, older_than_s: float, now_s: float) -> list[SegmentName]:
    """Closed segments without a Parquet file, oldest first. `now_s` is wall-clock seconds; a segment was
    closed when the next one was begun."""
    names = list_segments(log_dir)
    done = set(compacted_segments(log_dir))
    closed = pairwise(names)
    latest_ms = (now_s - older_than_s) * 1000
    return [name for name, after in closed if name not in done and after.created_ms <= latest_ms]


def _parquet_names(log_dir: Path) -> Iterator[SegmentName]:
    try:
        entries = [entry.name for entry in store_dir(log_dir).iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return
    for text in entries:
        if text.endswith(SUFFIX) and (name := SegmentName.parse(text.removesuffix(SUFFIX) + ".jsonl")):
            yield name
