# SPDX-License-Identifier: Apache-2.0
"""The segments of a log in all their forms, as `tracehound log list` shows them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from agent.log.compaction import parquet_name
from agent.log.manifest import Manifest, read_manifest
from agent.log.recovery import read_end
from agent.log.segments import SegmentName, list_segments


class Item(NamedTuple):
    """One segment."""

    segment: str
    """Its file name."""
    form: str
    """`open`, `lines`, `parquet`, `both` (lines wait for an exporter), `expired` or `missing`."""
    from_ms: int
    """Wall-clock milliseconds when it was begun."""
    to_ms: int
    """When the next one was begun; 0 for the newest."""
    first_sequence: int
    last_sequence: int
    """0 when it is not known."""
    bytes: int
    """On disk, in all forms; 0 when nothing is there."""
    sha256: str
    """Of its lines; empty while it is open, and for what an older version wrote."""
    boot_id: str
    """Empty when the manifest does not tell."""


def inventory(directory: Path) -> list[Item]:
    """Oldest first. Raises OSError."""
    live = list_segments(directory)
    manifest = read_manifest(directory)
    listed = (*manifest.closed, *manifest.compacted, *manifest.expired)
    names = sorted({*live, *(name for text in listed if (name := SegmentName.parse(text)))})
    ends = [*(name.created_ms for name in names[1:]), 0]
    return [_item(directory, manifest, name, end) for name, end in zip(names, ends, strict=False)]


def _item(directory: Path, manifest: Manifest, name: SegmentName, to_ms: int) -> Item:
    text = str(name)
    closed, compacted = manifest.closed.get(text), manifest.compacted.get(text)
    lines, parquet = _size(directory / text), _size(directory / parquet_name(text)) if compacted else None
    known = closed or compacted
    return Item(
        segment=text,
        form=_form(text in manifest.expired, lines is not None, parquet is not None, not (to_ms or closed)),
        from_ms=name.created_ms,
        to_ms=to_ms,
        first_sequence=name.first_sequence,
        last_sequence=known.last_sequence if known else _last(directory / text),
        bytes=(lines or 0) + (parquet or 0),
        sha256=known.sha256 if known else "",
        boot_id=closed.boot_id if closed else "",
    )


def _form(expired: bool, lines: bool, parquet: bool, is_open: bool) -> str:
    if lines and parquet:
        return "both"
    if lines:
        return "open" if is_open else "lines"
    if parquet:
        return "parquet"
    return "expired" if expired else "missing"


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _last(path: Path) -> int:
    try:
        return read_end(path).sequence
    except FileNotFoundError:
        return 0
