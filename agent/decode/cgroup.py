# SPDX-License-Identifier: Apache-2.0
"""`struct cgroup_record`: a cgroup was made or removed."""

from __future__ import annotations

from struct import Struct

from agent.decode.header import HEAD_FORMAT, head_from
from agent.events import CgroupChange, Garbage

CGROUP = Struct("=" + HEAD_FORMAT + "QQII")
"""All but the path."""
PATH_BYTES = 1024
_REMOVED = 2
"""CGROUP_REMOVED of enum cgroup_change."""


def decode_cgroup(raw: bytes) -> CgroupChange | Garbage:
    """Raises nothing: what does not fit is Garbage."""
    if len(raw) < CGROUP.size + PATH_BYTES:
        return Garbage("cgroup record too short", len(raw))
    values = CGROUP.unpack_from(raw)
    cgroup_id, container, change, length = values[9:]
    path = raw[CGROUP.size : CGROUP.size + min(length, PATH_BYTES)].rstrip(b"\0")
    return CgroupChange(head_from(values[:9]), cgroup_id, container, change == _REMOVED, path)
