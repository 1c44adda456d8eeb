# SPDX-License-Identifier: Apache-2.0
"""`tracehound rules list`: rules with level, what they ask, and techniques."""

from __future__ import annotations

import argparse
import json

from agent.cli.color import palette, wants_color
from agent.cli.rule_texts import aligned, good_rules
from agent.detect.rules import LEVELS, Rule


def run(args: argparse.Namespace) -> int:
    """Print them, loudest first, and return 0."""
    rules = sorted(good_rules(args.rules), key=lambda one: (-LEVELS.index(one.level), one.title))
    if args.format == "json":
        print(json.dumps([rule_json(rule) for rule in rules], indent=2))
        return 0
    rows = [
        (rule.level, rule.title, str(rule.logsource), " ".join(rule.techniques), rule.id[:8])
        for rule in rules
    ]
    for line in aligned([("LEVEL", "RULE", "ASKS", "ATT&CK", "ID"), *rows], palette(wants_color(args.color))):
        print(line)
    return 0


def rule_json(rule: Rule) -> dict[str, object]:
    """A rule for machines."""
    return {
        "id": rule.id, "title": rule.title, "level": rule.level, "status": rule.status, "author": rule.author,
        "description": rule.description, "logsource": str(rule.logsource), "tags": list(rule.tags),
        "techniques": list(rule.techniques), "version": rule.version, "file": str(rule.path),
        "line": rule.line,
    }  # fmt: skip
