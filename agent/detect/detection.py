# SPDX-License-Identifier: Apache-2.0
"""A hit → the content of `tracehound.detection` (docs/detections.md)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from agent.detect.bounds import fitted
from agent.detect.engine import Hit

MAX_MATCHED = 16
"""Checks that are named."""
MAX_VALUE = 1024
"""Characters of a value that are shown: the event beside it has all of it."""

Content = dict[str, Any]


def content_of(hit: Hit, hits: Sequence[Hit]) -> Content:
    """What a detection says, without `story`. `hits`: all hits of the event, `hit` among them."""
    rule = hit.rule
    content = {
        "id": id_of(hit),
        "level": rule.level,
        "title": rule.title,
        "description": rule.description,
        "rule": {
            "id": rule.id,
            "title": rule.title,
            "version": rule.version,
            "author": rule.author,
            "status": rule.status,
        },
        "rules": [{"id": one.rule.id, "title": one.rule.title, "level": one.rule.level} for one in hits],
        "tags": list(rule.tags),
        "matched": [
            {"selection": one.selection, "field": one.field, "value": one.value[:MAX_VALUE]}
            for one in hit.matched()[:MAX_MATCHED]
        ],
        "sequence": str(hit.sequence),
        "boot_id": hit.boot_id,
        "event": _event_of(hit),
        **({"process": shown} if (shown := hit.process.shown()) else {}),
        "ancestors": [known.shown() for known in hit.ancestors() if known.process.get("pid") != 0],
    }
    pod = _pod_of(hit)
    return fitted({**content, "pod": pod} if pod is not None else content)


def id_of(hit: Hit) -> str:
    """The same whenever and however often an event is evaluated."""
    node = str(hit.record.get("node_name", ""))
    told = "\0".join((hit.rule.id, node, hit.boot_id, str(hit.sequence)))
    return hashlib.sha256(told.encode("utf-8", "replace")).hexdigest()[:32]


def _event_of(hit: Hit) -> Content:
    """The event as it stands in the log, without `tracehound.raw`."""
    own = hit.record.get("tracehound")
    if type(own) is not dict or "raw" not in own:
        return hit.record
    return {**hit.record, "tracehound": {key: value for key, value in own.items() if key != "raw"}}


def _pod_of(hit: Hit) -> Content | None:
    process = hit.subject.event.get("process")
    pod = process.get("pod") if type(process) is dict else None
    pod = pod or hit.process.process.get("pod")
    return pod if type(pod) is dict else None
