# SPDX-License-Identifier: Apache-2.0
"""Tombstones of the manifest against the `retention` records in the log, which receivers have got as well:
who only appends tombstones and removes segments while no agent runs has no records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agent.log.entry import parse
from agent.log.examine import Fault
from agent.log.manifest import MANIFEST_NAME, Expired, Manifest
from agent.log.records import OWN_HEAD
from agent.log.segments import SegmentName

_KINDS = (b',"retention":{', b',"unclean_shutdown":{', b',"loss":{"cause":"queue_full"')
"""In own records; in texts of others the quotation marks would be escaped."""
_COMPARED = ("first_sequence", "last_sequence", "bytes", "reason")


class Removals:
    """What the segments that were read tell of removals."""

    def __init__(self) -> None:
        self._read: set[SegmentName] = set()
        self._unclean: set[SegmentName] = set()
        """Those in which an agent tells that it was killed, or had no room for records."""
        self._told: dict[str, dict[str, Any]] = {}

    def look(self, name: SegmentName, chunk: bytes) -> None:
        """Takes notice of whole lines of a segment."""
        self._read.add(name)
        for kind in _KINDS:
            at = chunk.find(kind)
            while at >= 0:
                start, end = chunk.rfind(b"\n", 0, at) + 1, chunk.find(b"\n", at)
                self._take(name, chunk[start : end if end >= 0 else None])
                at = chunk.find(kind, at + 1)

    def judge(self, manifest: Manifest, names: Sequence[SegmentName]) -> tuple[list[Fault], list[str]]:
        """Faults and notes; `names` are all segments in order. Tombstones whose records would stand in
        segments that were not read, or are gone themselves, are not judged."""
        faults, notes = [], []
        is_open = bool(names) and str(names[-1]) not in manifest.closed
        for segment, tombstone in manifest.expired.items():
            record = self._told.get(segment)
            if record is not None:
                if problem := _difference(tombstone, record):
                    faults.append(_fault(tombstone, f"the tombstone of {segment} {problem}"))
            elif (since := self._since(manifest, segment, names)) is not None:
                problem = f"no `retention` record tells of the removal of {segment}"
                if self._unclean.intersection(since) or (is_open and segment not in manifest.open_then):
                    notes.append(f"{problem}: the agent was killed in between, or somebody else removed it")
                else:
                    faults.append(_fault(tombstone, f"{problem}: it was not the agent that removed it"))
        return faults, notes

    def _take(self, name: SegmentName, line: bytes) -> None:
        parsed = parse(line) if line.startswith(OWN_HEAD) else None
        if parsed is None:
            return
        own = parsed[0]["tracehound"]
        if "unclean_shutdown" in own or "loss" in own:
            self._unclean.add(name)
        told = own.get("retention")
        if isinstance(told, dict) and isinstance(told.get("removed"), str):
            self._told[told["removed"]] = told

    def _since(
        self, manifest: Manifest, segment: str, names: Sequence[SegmentName]
    ) -> list[SegmentName] | None:
        """The segment that was open when the tombstone was written, and all after it; None unless all of them
        were read."""
        begin = manifest.open_then.get(segment) or (str(names[-1]) if names else "")
        since = [name for name in names if str(name) >= begin]
        return since if since and self._read.issuperset(since) else None


def _difference(tombstone: Expired, record: dict[str, Any]) -> str:
    told = tombstone._asdict()
    names = [name for name in _COMPARED if name in record and record[name] != told[name]]
    return f"differs from its `retention` record in {', '.join(names)}" if names else ""


def _fault(tombstone: Expired, problem: str) -> Fault:
    return Fault(MANIFEST_NAME, 0, tombstone.first_sequence, problem)
