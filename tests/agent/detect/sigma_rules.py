# SPDX-License-Identifier: Apache-2.0
"""Rules as text, read by the real reader, and events as the log has them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.detect.engine import Engine, Hit
from agent.detect.rules import Rule, RuleSet, read_rules

CORPUS = Path(__file__).parents[4] / "shared" / "corpora" / "sigma-linux"
"""Rules of others beside the checkout: SigmaHQ, DRL 1.1."""
LIBRARY = Path(__file__).parents[3] / "rules"
PROCESS = "{product: linux, category: process_creation}"
AUDITD = "{product: linux, service: auditd}"


def read_text(text: str) -> RuleSet:
    """What a file of this text gives."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "rule.yml"
        path.write_text(text)
        return read_rules([path])


def rule_text(detection: str, logsource: str = PROCESS, title: str = "A rule", more: str = "") -> str:
    """A rule of a `detection`, whose lines are indented here."""
    lines = "\n".join("  " + line for line in detection.strip().splitlines())
    return f"title: {title}\nlogsource: {logsource}\ndetection:\n{lines}\n{more}"


def rule(detection: str, logsource: str = PROCESS, title: str = "A rule", more: str = "") -> Rule:
    """The same, read; it has to be right."""
    found = read_text(rule_text(detection, logsource, title, more))
    assert not found.problems, found.problems
    return found.rules[0]


def process(exec_id: str, binary: str, parent: str = "", **more: Any) -> dict[str, Any]:
    """`P` of the log."""
    said = {
        "exec_id": exec_id, "pid": 100, "uid": 0, "cwd": "/root", "binary": binary, "flags": "execve clone",
        "auid": 1000, "parent_exec_id": parent,
    }  # fmt: skip
    return {**said, **more}


def exec_of(
    *arguments: str, exec_id: str = "p1", parent: str = "p0", binary: str = "", number: int = 1, **more: Any
) -> dict[str, Any]:
    """An exec: of its arguments, with keys for `process` (`process={…}`) and below `tracehound`."""
    said = more.pop("process", {})
    binary = binary or (arguments[0] if arguments else "/bin/true")
    return {
        "process_exec": {"process": process(exec_id, binary, parent, **said)},
        "node_name": "n1",
        "time": "2026-01-01T00:00:00.000000001Z",
        "tracehound": {"sequence": number, "arguments": list(arguments), "user": "root", **more},
    }


def call_of(function: str, *args: dict[str, Any], number: int = 2, **more: Any) -> dict[str, Any]:
    """An event of a policy, of the process p1."""
    said = {"process": process("p1", "/bin/cat", "p0"), "function_name": function, "args": list(args), **more}
    return {
        "process_kprobe": said,
        "node_name": "n1",
        "time": "2026-01-01T00:00:01.000000001Z",
        "tracehound": {"sequence": number},
    }


def hits(rules: Rule | Sequence[Rule], *records: dict[str, Any]) -> list[Hit]:
    """All that a new engine finds in records."""
    engine = Engine([rules] if isinstance(rules, Rule) else rules)
    return [hit for record in records for hit in engine.feed(record)]
