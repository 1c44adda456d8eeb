# SPDX-License-Identifier: Apache-2.0
"""Rules and detections, made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agent.detect.conditions import And, Check, Match, Node, Not, Or
from agent.detect.rules import Logsource, Rule


def check(field: str, op: str, value: Any) -> Match:
    """A part of a condition; a list is `or`."""
    return Match(Check(field, op, value), "selection", f"{field}|{op}")


def rule(condition: Node, category: str = "process_creation", **about: Any) -> Rule:
    """A rule with an id of its title."""
    said: dict[str, Any] = {
        "id": "r1", "title": "A Rule", "level": "high", "status": "test", "description": "", "author": "us",
        "tags": ("attack.execution", "attack.t1059.004"), "references": (), "falsepositives": (),
        "logsource": Logsource(category, "linux"), "condition": condition, "version": "0" * 12,
        "path": Path("rule.yaml"), "line": 1,
    }  # fmt: skip
    return Rule(**(said | about))


def detection(binary: str, *above: str, arguments: str = "", rule: str = "r1", **more: Any) -> dict[str, Any]:
    """Content of a detection of an exec, with its ancestors."""
    process = {"pid": 50, "binary": binary, "arguments": arguments, "cwd": "/"}
    event = {
        "process_exec": {"process": process},
        "time": "2026-01-01T00:00:00.000000001Z",
        "tracehound": {"sequence": 1, "arguments": [binary, *arguments.split()]},
    }
    return {
        "id": "ab" * 16,
        "rule": {"id": rule, "title": "A Rule"},
        "process": process,
        "ancestors": [{"binary": one} for one in above],
        "event": event,
        **more,
    }


__all__ = ["And", "Not", "Or", "check", "detection", "rule"]
