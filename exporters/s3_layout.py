# SPDX-License-Identifier: Apache-2.0
"""Where objects lie in the bucket, and which part of the log each one holds.

    PREFIX/node=N/date=2026-01-01/SEGMENT.parquet                        a compacted segment
    PREFIX/live/node=N/date=2026-01-01/SEGMENT.000000000000.jsonl.zst    lines from that offset on
    PREFIX/manifest/node=N/<hash of its first line>.jsonl                the chain of segments

Partitions are Hive's, so DuckDB, Athena, Trino, Spark and ClickHouse prune by node and date. The date is the
day (UTC) on which the segment was begun: its last records can be of the next one.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from agent.log.entry import parse, sequence_in
from agent.log.segments import SegmentName, list_segments

MANIFEST = "manifest.jsonl"
_HEAD_MOST = 1 << 16


class Slice(NamedTuple):
    """Whole lines of a segment that is not compacted yet."""

    lines: bytes
    events: int
    end: int
    """Offset behind them in the segment, in bytes."""
    sequence: int
    """Number of the last one."""


class Names:
    """Keys of one node's objects."""

    def __init__(self, prefix: str, node: str) -> None:
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._node = f"node={quote(node, safe='')}"

    def parquet(self, name: SegmentName) -> str:
        """Of a compacted segment."""
        return f"{self._prefix}{self._node}/{_date(name)}/{_stem(name)}.parquet"

    def live(self, name: SegmentName, offset: int) -> str:
        """Of lines of a segment from an offset (bytes) on."""
        return f"{self._prefix}live/{self._node}/{_date(name)}/{_stem(name)}.{offset:012d}.jsonl.zst"

    def manifest(self, content: bytes) -> str:
        """Of the manifest. A node that was set up anew has another first line: it overwrites nothing."""
        first = hashlib.sha256(content.partition(b"\n")[0]).hexdigest()[:16]
        return f"{self._prefix}manifest/{self._node}/{first}.jsonl"


def node_of(log_dir: Path) -> str:
    """Name of the node, from the newest segment; empty when there is none with a line. Raises OSError."""
    for name in reversed(list_segments(log_dir)):
        with (log_dir / str(name)).open("rb") as file:
            found = parse(file.readline(_HEAD_MOST))
        if found and (node := found[0].get("node_name")):
            return str(node)
    return ""


def read_slice(path: Path, offset: int, most: int) -> Slice | None:
    """Whole lines from `offset` on, about `most` bytes; None when there are none. Raises OSError."""
    with path.open("rb") as file:
        file.seek(offset)
        content = file.read(most)
        if len(content) == most and b"\n" not in content:
            content += file.readline()
    content = content[: content.rfind(b"\n") + 1]
    if not content:
        return None
    last = content[content.rfind(b"\n", 0, -1) + 1 :]
    return Slice(content, content.count(b"\n"), offset + len(content), sequence_in(last))


def _stem(name: SegmentName) -> str:
    return str(name).removesuffix(".jsonl")


def _date(name: SegmentName) -> str:
    return f"date={datetime.fromtimestamp(name.created_ms / 1000, UTC):%Y-%m-%d}"
