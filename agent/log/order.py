# SPDX-License-Identifier: Apache-2.0
"""Whether a segment goes on from the one before. Pure."""

from __future__ import annotations

from typing import Any

from agent.log.examine import Fault
from agent.log.segments import SegmentName
from agent.log.verdict import Link


def head_fault(before: Link, name: SegmentName, content: dict[str, Any]) -> Fault | None:
    """By its first line: `content` is that of the `segment` record, empty when it is damaged."""
    told = content.get("previous_sha256", "")
    if before.name and content.get("previous", before.name) != before.name:
        problem = f"goes on from {content['previous']}, which is not before it"
    elif told and before.sha256 and told != before.sha256:
        problem = f"holds another hash of {before.name} than the manifest"
    else:
        return None
    return Fault(str(name), 1, name.first_sequence, problem)


def order_fault(before: Link, name: SegmentName, boot_id: str) -> Fault | None:
    """By its numbers; `boot_id` is the boot that it belongs to, empty when that is not known."""
    expected = _expected(before, boot_id)
    if expected is None:
        return None
    first = name.first_sequence
    if first > expected:
        problem = f"records {expected} to {first - 1} are missing before it"
    elif first < expected and before.boot_id == boot_id:
        problem = f"its numbers begin at {first}, {expected} was to come"
    else:
        return None
    return Fault(str(name), 1, first, problem)


def _expected(before: Link, boot_id: str) -> int | None:
    """The number that has to come next; None when it is not known."""
    if not (before.name and before.boot_id and boot_id):
        return None
    if before.boot_id != boot_id:
        return 1
    return None if before.last_sequence is None else before.last_sequence + 1
