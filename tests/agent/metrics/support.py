# SPDX-License-Identifier: Apache-2.0
"""States as an agent tells them, and shorthands to look at metrics."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from agent.metrics.family import Family

STATE: dict[str, Any] = {
    "pid": 1,
    "version": "1.2.3",
    "kernel": "6.12",
    "node_name": "n1",
    "started": "2026-01-01T00:00:00.000000000Z",
    "updated": "2026-01-01T00:00:00.000000000Z",
    "state": "running",
    "health": {"state": "ok", "reasons": []},
    "events": {"process_exec": 5},
    "sent": {"exec": 6},
    "processes": 9,
    "losses": [{"cause": "ring_full", "lane": "bulk", "hook": "policy", "count": 3}],
    "lost_recent": {"ring_full": 1},
    "ring": {"bytes": 4096, "fill": 0.25, "peak": 0.5},
    "shed_step": 0,
    "programs": [{"name": "exec", "kind": "tp_btf", "attached": True}],
    "log": {"state": "ok", "bytes": 10, "last_sequence": 7, "queued_bytes": 0, "dropped": 0, "error": ""},
    "compaction": {"published": 2, "works": True},
    "policies": {"enabled": 1, "failed": 0},
    "detections": {"wanted": True, "running": True, "rules": 3, "lag_seconds": 0.5},
    "exporters": [],
    "containers": {"known": 2},
    "identity": {"sources": {"kubernetes": {"state": "fresh", "age_seconds": 1.5}, "cri": {"state": "off"}}},
}


def values(families: Iterable[Family], name: str) -> dict[Any, float]:
    """Samples of the metric by this name; a single label stands for itself."""
    (family,) = (one for one in families if one.name == name)
    return {labels[0] if len(labels) == 1 else labels: value for labels, value in family.samples}
