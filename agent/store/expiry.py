# SPDX-License-Identifier: Apache-2.0
"""The index does not outlive the log: what retention removed is forgotten in `lineage.sqlite` as well."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from agent.log.manifest import read_manifest
from agent.log.segments import SegmentName, list_segments
from agent.store.index import IndexWriter
from agent.store.layout import compacted_segments, index_path


def lasting(log_dir: Path, names: Iterable[SegmentName]) -> list[SegmentName]:
    """Those that the manifest does not call expired: retention may not have come to remove a file yet. Raises
    OSError."""
    expired = read_manifest(log_dir).expired
    return [name for name in names if str(name) not in expired]


def forget_expired(log_dir: Path) -> list[str]:
    """Takes out of the index every segment that is in no form in the log any more; returns their names.

    An index without such segments is not written to, and none is made. Raises OSError and sqlite3.Error.
    """
    path = index_path(log_dir)
    if not path.exists():
        return []
    index = IndexWriter(path)
    try:
        gone = _gone(log_dir, index.segments())
        if gone:
            index.remove(gone)
            path.with_name(path.name + ".damaged").unlink(missing_ok=True)
    finally:
        index.close()
    return gone


def _gone(log_dir: Path, indexed: Collection[str]) -> list[str]:
    there = {*list_segments(log_dir), *compacted_segments(log_dir)}
    return sorted(set(indexed) - set(map(str, there)))
