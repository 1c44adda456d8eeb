# SPDX-License-Identifier: Apache-2.0
"""ATT&CK techniques and tactics in the tags of a detection, as Sigma writes them: `attack.t1059.004`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_TECHNIQUE = re.compile(r"^attack\.(t\d{4})(?:\.(\d{3}))?$", re.IGNORECASE)
_TACTICS = {
    "reconnaissance": "TA0043",
    "resource-development": "TA0042",
    "initial-access": "TA0001",
    "execution": "TA0002",
    "persistence": "TA0003",
    "privilege-escalation": "TA0004",
    "defense-evasion": "TA0005",
    "credential-access": "TA0006",
    "discovery": "TA0007",
    "lateral-movement": "TA0008",
    "collection": "TA0009",
    "exfiltration": "TA0010",
    "command-and-control": "TA0011",
    "impact": "TA0040",
}
"""Ids of MITRE ATT&CK, Enterprise, by the names that Sigma's tag specification uses."""


class Attack(NamedTuple):
    """What a rule's tags say of ATT&CK."""

    techniques: tuple[str, ...]
    """`T1059`, `T1059.004`; each once."""
    tactics: tuple[tuple[str, str], ...]
    """Id and name: (`TA0002`, `execution`)."""


@lru_cache(maxsize=1024)
def attack_of(tags: tuple[str, ...]) -> Attack:
    """Techniques and tactics among the tags; others are passed over."""
    techniques: dict[str, None] = {}
    tactics: dict[tuple[str, str], None] = {}
    for tag in tags:
        if match := _TECHNIQUE.match(tag):
            techniques[match[1].upper() + (f".{match[2]}" if match[2] else "")] = None
        else:
            name = tag.removeprefix("attack.").replace("_", "-").lower()
            if name in _TACTICS and tag.startswith("attack."):
                tactics[_TACTICS[name], name] = None
    return Attack(tuple(techniques), tuple(tactics))
