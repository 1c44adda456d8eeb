# SPDX-License-Identifier: Apache-2.0
"""The library of rules as a table: ``python -m tests.rules.table`` writes it into docs/rules.md."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

LIBRARY = Path(__file__).parents[2] / "rules"
DOCUMENT = Path(__file__).parents[2] / "docs/rules.md"
BEGIN, END = "<!-- made from rules/ -->\n", "<!-- end -->\n"
HEAD = ["| rule | level | asks | ATT&CK |", "|---|---|---|---|"]


def rules() -> dict[str, dict[str, Any]]:
    """By file name, without `.yaml`."""
    return {file.stem: yaml.safe_load(file.read_text()) for file in sorted(LIBRARY.glob("*.yaml"))}


def policies_of(rule: Any) -> list[str]:
    """Policies that a rule asks for by name."""
    if isinstance(rule, Mapping):
        mine = [str(value) for key, value in rule.items() if key == "Policy"]
        return [*mine, *(name for inner in rule.values() for name in policies_of(inner))]
    return [name for inner in rule for name in policies_of(inner)] if isinstance(rule, list) else []


def asks(rule: Mapping[str, Any]) -> str:
    """Which events."""
    policies = ", ".join(f"`{name}`" for name in dict.fromkeys(policies_of(rule["detection"])))
    return policies or str(rule["logsource"]["category"])


def techniques(rule: Mapping[str, Any]) -> list[str]:
    """`T1059.004`."""
    return [tag[7:].upper() for tag in rule["tags"] if tag.startswith("attack.t") and tag[8:12].isdecimal()]


def table() -> str:
    """With the lines around it."""
    rows = [
        f"| [{rule['title']}](../rules/{name}.yaml) | {rule['level']} | {asks(rule)} | "
        f"{', '.join(techniques(rule))} |"
        for name, rule in rules().items()
    ]
    return BEGIN + "\n".join([*HEAD, *rows]) + "\n" + END


if __name__ == "__main__":
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    DOCUMENT.write_text(before + table() + rest.partition(END)[2])
