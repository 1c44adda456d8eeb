# SPDX-License-Identifier: Apache-2.0
"""What of a record alarms: detections, and events of policies whose action was carried out. Pure.

A detection stands under `tracehound.detection`: `rule` (`{id, title}` or a name), `level`, `story` (`{id}`
or an id), `process`. Whatever is missing or of another type is left out, never an exception.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from exporters.base import Document
from exporters.formats.severity import LEVELS

ENFORCED_LEVEL = "medium"
"""Level of a call that a policy refused or a process that it killed, as in exporters.formats.severity."""
_ENFORCING = frozenset(
    {
        "KPROBE_ACTION_SIGKILL",
        "KPROBE_ACTION_SIGNAL",
        "KPROBE_ACTION_OVERRIDE",
        "KPROBE_ACTION_NOTIFYENFORCER",
    }
)
"""Values of `action` in events of other agents, which have no `tracehound.policy.did`."""
_SAID = 300
"""Most characters of a text in an annotation."""


class Finding(NamedTuple):
    """A reason to alarm somebody."""

    key: str
    """Equal for what is one alert: the story, else the rule and the root of the process's ancestry."""
    rule: str
    """Title of the rule, or name of the policy."""
    time_ns: int
    """Wall-clock nanoseconds of the event."""
    labels: dict[str, str]
    """What stays the same for all events of the key."""
    annotations: dict[str, str]
    """What helps to understand this event; empty values are left out."""

    def is_worse_than(self, level: str) -> bool:
        """Whether its level is higher; an unknown one is the mildest."""
        rank = {name: number for number, name in enumerate(LEVELS)}
        return rank.get(self.labels["severity"], -1) > rank.get(level, -1)


def finding(document: Document) -> Finding | None:
    """The finding in a record, None when it alarms nobody."""
    own = _dict(document.record.get("tracehound"))
    detection = _dict(own.get("detection"))
    if detection:
        rule = _dict(detection.get("rule")).get("title") or detection.get("rule") or detection.get("title")
        return _make(document, own, detection, _text(rule) or "detection", level_of(document))
    event = _dict(document.record.get(document.type))
    if not is_enforced(event, own):
        return None
    return _make(document, own, event, _text(event.get("policy_name")) or "policy", ENFORCED_LEVEL)


def level_of(document: Document) -> str:
    """Level of a detection; empty for every other record."""
    record = document.record or _parse(document.body)
    detection = _dict(_dict(record.get("tracehound")).get("detection"))
    level = detection.get("level")
    return level if level in LEVELS else "medium" if detection else ""


def is_enforced(event: dict[str, Any], own: dict[str, Any]) -> bool:
    """Whether a policy did something to the call; where that is not told, whether it was to."""
    policy = own.get("policy")
    if isinstance(policy, dict):
        return bool(policy.get("did"))
    return event.get("action") in _ENFORCING


def _make(document: Document, own: dict[str, Any], event: dict[str, Any], rule: str, level: str) -> Finding:
    process = _dict(event.get("process"))
    story = _dict(event.get("story")).get("id") or event.get("story")
    root = _root(_ancestry_of(own, event), process)
    labels = {"alertname": "TracehoundStory", "story": _text(story)}
    if not labels["story"]:
        labels = {"alertname": rule, "root": root}
    labels |= {"severity": level, "node": document.node_name}
    pod = _dict(process.get("pod"))
    labels |= {"namespace": _text(pod.get("namespace")), "pod": _text(pod.get("name"))}
    key = labels.get("story") or f"{rule}\n{root or document.node_name}"
    return Finding(
        key, rule, document.time_ns, _filled(labels), _annotate(document, own, event, process, rule)
    )


def _ancestry_of(own: dict[str, Any], event: dict[str, Any]) -> object:
    """exec_ids, as events list them; a detection has whole processes."""
    above = event.get("ancestors")
    return [_dict(one).get("exec_id") for one in above] if isinstance(above, list) else own.get("ancestry")


def _root(ancestry: object, process: dict[str, Any]) -> str:
    """exec_id at the end of the ancestry: the container's init or pid 1; of a process without one its own."""
    known = (
        [item for item in ancestry if isinstance(item, str) and item] if isinstance(ancestry, list) else []
    )
    return known[-1] if known else _text(process.get("exec_id"))


def _parent_of(event: dict[str, Any]) -> dict[str, Any]:
    """Of an event; of a detection the first of its ancestors."""
    above = event.get("ancestors")
    return _dict(above[0]) if isinstance(above, list) and above else _dict(event.get("parent"))


def _annotate(
    document: Document, own: dict[str, Any], event: dict[str, Any], process: dict[str, Any], rule: str
) -> dict[str, str]:
    did = _dict(own.get("policy")).get("did")
    command = f"{_text(process.get('binary'))} {_text(process.get('arguments'))}".strip()
    return _filled(
        {
            "summary": f"{rule}: {command}"[:_SAID] if command else rule,
            "description": _text(event.get("message") or event.get("description"))[:_SAID],
            "process": command[:_SAID],
            "parent": _text(_parent_of(event).get("binary"))[:_SAID],
            "exec_id": _text(process.get("exec_id")),
            "container": _text(_dict(_dict(process.get("pod")).get("container")).get("id")) or _text(
                process.get("docker")
            ),
            "function": _text(event.get("function_name")),
            "done": ", ".join(map(_text, did)) if isinstance(did, list) else _text(event.get("action")),
            "node": document.node_name,
            "uid": document.uid,
        }
    )  # fmt: skip


def _parse(body: bytes) -> dict[str, Any]:
    """The record where only its line is at hand (Batching.needs_record)."""
    try:
        return _dict(orjson.loads(body))
    except orjson.JSONDecodeError:
        return {}


def _filled(texts: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in texts.items() if text}


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
