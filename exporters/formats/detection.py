# SPDX-License-Identifier: Apache-2.0
"""What every format reads of a detection. Keys are listed in docs/formats.md, "Detections"."""

from __future__ import annotations

from typing import Any, NamedTuple

from exporters.formats.facts import Facts
from exporters.formats.shape import is_text
from exporters.formats.summary import title_of

Fields = dict[str, Any]


class Detection(NamedTuple):
    """A rule matched an event. Texts are empty when absent."""

    uid: str
    """Of the detection; made of rule and sequence number where it has none."""
    rule_id: str
    title: str
    """Of the rule."""
    rule_version: str
    description: str
    tags: tuple[str, ...]
    """As Sigma writes them: `attack.t1059.004`."""
    rules: tuple[tuple[str, str], ...]
    """Id and title of the other rules that matched."""
    process: object
    """The process that it is of, as in events; None when it is of none."""
    event: Facts | None
    """The event that matched."""
    story: str
    """Id of the incident that it belongs to."""


def read(facts: Facts) -> Detection:
    """A detection of a record of that kind."""
    content = facts.event
    rule = content.get("rule")
    rule_fields: Fields = rule if type(rule) is dict else {"id": rule}
    rule_id, version = _text(rule_fields.get("id")), rule_fields.get("version")
    matched = _matched(content)
    process = content.get("process")
    if process is None and matched is not None:
        process = matched.process
    tags = content.get("tags")
    return Detection(
        _text(content.get("id")) or f"{rule_id or 'rule'}/{facts.node}/{facts.sequence}",
        rule_id,
        title_of(facts) if is_text(title_of(facts)) else "untitled rule",
        str(version) if type(version) in (str, int) and is_text(str(version)) else "",
        _text(content.get("description")),
        tuple(tag for tag in tags if is_text(tag)) if type(tags) is list else (),
        _others(content.get("rules"), rule_id),
        process,
        matched,
        _text(content.get("story")),
    )


def _text(value: object) -> str:
    return str(value) if is_text(value) else ""


def _matched(content: Fields) -> Facts | None:
    """The event, where it stands there whole (`{"process_exec":{…}}`)."""
    event = content.get("event")
    if type(event) is not dict:
        return None
    facts = Facts(event)
    return facts if facts.kind not in ("own", "detection") else None


def _others(rules: object, rule_id: str) -> tuple[tuple[str, str], ...]:
    found = []
    for rule in rules if type(rules) is list else ():
        fields = rule if type(rule) is dict else {"id": rule}
        uid, title = _text(fields.get("id")), _text(fields.get("title"))
        if (uid or title) and uid != rule_id:
            found.append((uid, title or uid))
    return tuple(found)
