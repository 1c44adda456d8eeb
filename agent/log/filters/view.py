# SPDX-License-Identifier: Apache-2.0
"""A log record as the filters look at it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

Json = Mapping[str, Any]
_NOTHING: Json = {}

EVENT_TYPES = {
    "PROCESS_EXEC": "process_exec",
    "PROCESS_EXIT": "process_exit",
    "PROCESS_KPROBE": "process_kprobe",
    "PROCESS_TRACEPOINT": "process_tracepoint",
    "PROCESS_LOADER": "process_loader",
    "PROCESS_UPROBE": "process_uprobe",
    "PROCESS_THROTTLE": "process_throttle",
    "PROCESS_LSM": "process_lsm",
    "PROCESS_USDT": "process_usdt",
    "TEST": "test",
    "RATE_LIMIT_INFO": "rate_limit_info",
}
"""Names of Tetragon's enum EventType, and the key under which such an event stands in a record."""
EVENT_KEYS = frozenset(EVENT_TYPES.values())


class View(NamedTuple):
    """One event; absent parts are empty, so that looking needs no questions."""

    type: str
    """Key that names the event: `process_exec`, …"""
    body: Json
    """The event itself: the value under `process_exec`, `process_exit`, …"""
    process: Json
    """The process of the event."""
    parent: Json | None
    """Its parent, None when the event has none."""
    ancestry: Sequence[str]
    """exec_ids from the parent up, from our own part of the record."""

    @property
    def pod(self) -> Json | None:
        """The pod of the process, None outside of pods."""
        return self.process.get("pod")

    @property
    def ancestors(self) -> Sequence[Json]:
        """Full processes from the grandparent up; only the expanded form has them."""
        ancestors: Sequence[Json] = self.body.get("ancestors", ())
        return ancestors

    def family_pids(self) -> set[int]:
        """Pids of the process and of all its ancestors that the record knows."""
        pids = {self.process.get("pid", 0), (self.parent or _NOTHING).get("pid", 0)}
        pids.update(map(pid_of, self.ancestry))
        pids.update(process.get("pid", 0) for process in self.ancestors)
        return pids

    @property
    def has_family(self) -> bool:
        """Whether the record itself names parent and ancestors, as it does unless told otherwise."""
        return self.parent is not None and bool(self.ancestry)


def view(record: Json) -> View | None:
    """How the filters see a record; None for the log's own records."""
    for key, body in record.items():
        if key in EVENT_KEYS and isinstance(body, dict):
            own = record.get("tracehound", _NOTHING)
            process = body.get("process", _NOTHING)
            return View(key, body, process, body.get("parent"), own.get("ancestry", ()))
    return None


@lru_cache(maxsize=8192)
def pid_of(exec_id: str) -> int:
    """The pid inside an exec_id (base64 of `node:ktime:pid`); 0 when it is not one."""
    try:
        return int(base64.b64decode(exec_id).rpartition(b":")[2])
    except (ValueError, binascii.Error):
        return 0
