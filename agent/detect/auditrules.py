# SPDX-License-Identifier: Apache-2.0
"""Audit rules in the definition of a Sigma rule: `-w /usr/bin/nmap -p x -k recon`.

Rules that ask for auditd's `key` say there which audit rule sets it. Who is watched for execution (`-p x`)
has the key here as well, without auditd. man 8 auditctl
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from agent.detect.conditions import fields_of
from agent.detect.rules import Rule

_WATCH = re.compile(r"-w[ \t]+(/[^\s]{1,255})[ \t]+-p[ \t]+([rwxa]{1,4})[ \t]+-k[ \t]+([^\s]{1,31})")
"""man 8 auditctl: a key has at most 31 bytes."""


def watched(rules: Iterable[Rule]) -> dict[str, tuple[str, ...]]:
    """Keys by the path of the program whose execution gets them."""
    found: dict[str, dict[str, None]] = {}
    for rule in rules:
        if rule.logsource.service.lower() == "auditd" and "key" in fields_of(rule.condition):
            for path, key in watches_in(rule.logsource.definition):
                found.setdefault(path, {})[key] = None
    return {path: tuple(keys) for path, keys in found.items()}


def watches_in(definition: str) -> list[tuple[str, str]]:
    """Path and key of each watch for execution."""
    return [(path, key) for path, rights, key in _WATCH.findall(definition) if "x" in rights]
