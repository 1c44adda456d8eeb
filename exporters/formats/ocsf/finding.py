# SPDX-License-Identifier: Apache-2.0
"""Detections as Detection Findings of OCSF (class 2004): rule, ATT&CK, and the event as evidence.

Read leniently, below `tracehound.detection`: `id`, `level`, `title`, `description`, `rule` (its id, or an
object with `id`, `title`, `version`), `rules` (all that matched), `tags` (Sigma's), `event` (a record, or
what is in one) and `process`.
"""

from __future__ import annotations

from typing import Any

from orjson import Fragment

from exporters.formats.attack import attack_of
from exporters.formats.detection import Detection, read
from exporters.formats.facts import Facts
from exporters.formats.lineage import Lineage, Subject
from exporters.formats.ocsf.objects import Family, endpoints, file_of

Fields = dict[str, Any]
_RULE = 1
"""analytic.type_id."""


def finding(facts: Facts, lineage: Lineage, family: Family) -> tuple[Fields, Subject | None]:
    """Fields of the class, and the process that the detection is of."""
    found = read(facts)
    attacks = _attacks(found)
    info: Fields = {
        "uid": found.uid,
        "title": found.title,
        "analytic": _analytic(found),
        "created_time": facts.time_ns // 1_000_000,
    }
    if found.description:
        info["desc"] = found.description
    if attacks:
        info["attacks"] = attacks
    others = [{"name": title, "uid": uid or title, "type_id": _RULE} for uid, title in found.rules]
    if others:
        info["related_analytics"] = others
    fields: Fields = {"finding_info": info, "is_alert": True, "status_id": 1, "status": "New"}
    subject = lineage.subject(found.process) if found.process else None
    if subject is not None:
        parent = found.event.event.get("parent") if found.event is not None else None
        ancestry = found.event.ancestry() if found.event is not None else None
        above = lineage.subject(parent) if type(parent) is dict else None
        actor = Fragment(family.actor(subject, above, ancestry or facts.ancestry()))
        fields["evidences"] = [{"actor": actor, **_evidence(found.event)}]
    return fields, subject


def _analytic(found: Detection) -> Fields:
    analytic: Fields = {"type_id": _RULE, "type": "Rule", "name": found.title}
    if found.rule_id:
        analytic["uid"] = found.rule_id
    if found.rule_version:
        analytic["version"] = found.rule_version
    return analytic


def _attacks(found: Detection) -> list[Fields]:
    attack = attack_of(found.tags)
    attacks: list[Fields] = []
    for technique in attack.techniques:
        main = technique.partition(".")[0]
        one: Fields = {"technique": {"uid": main}}
        if main != technique:
            one["sub_technique"] = {"uid": technique}
        attacks.append(one)
    return attacks + [{"tactic": {"uid": uid, "name": name}} for uid, name in attack.tactics]


def _evidence(event: Facts | None) -> Fields:
    """File and ends of the connection of the event that the rule matched."""
    if event is None or event.kind != "policy":
        return {}
    found: Fields = {}
    if files := event.files():
        found["file"] = file_of(files[0])
    if (socket := event.socket()) is not None:
        found |= endpoints(socket, event.deed.verb if event.deed is not None else "", event.node or "unknown")
    return found
