# SPDX-License-Identifier: Apache-2.0
"""How serious a record is, in the five levels of Sigma, from which every format's own scale follows."""

from __future__ import annotations

from exporters.formats.facts import Facts

LEVELS = ("informational", "low", "medium", "high", "critical")
_OWN = {
    "loss": "medium",
    "unclean_shutdown": "medium",
    "suppressed": "low",
    "degraded": "medium",
    "throttle": "low",
    "notice": "medium",
    "clock_step": "low",
    "retention": "informational",
}
"""Own records that tell of missing events or of a weaker watch; all others are informational."""
INCOMPLETE = frozenset({"loss", "unclean_shutdown", "suppressed", "degraded", "throttle", "notice"})
"""Kinds of own records after which the stream is less than what happened."""


def level_of(facts: Facts) -> str:
    """The level of a record: of a detection its rule's, of a call that a policy stopped `medium`."""
    if facts.kind == "detection":
        level = facts.event.get("level")
        return level if type(level) is str and level in LEVELS else "medium"
    if facts.kind == "policy":
        return "medium" if facts.done() else "informational"
    if facts.kind != "own":
        return "informational"
    if facts.type == "attachment":
        return "informational" if facts.event.get("attached") is True else "high"
    if facts.type == "policy":
        return "medium" if facts.event.get("action") in ("refused", "alarm") else "informational"
    if facts.type == "reload":
        return "informational" if facts.event.get("ok") is not False else "low"
    return _OWN.get(facts.type, "informational")
