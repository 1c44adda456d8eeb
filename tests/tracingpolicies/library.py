# SPDX-License-Identifier: Apache-2.0
"""The library of policies as tests see it: its files, what they need of a kernel, and the cases that fire
them."""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from agent.policy.model import Hook, Policy
from agent.policy.parse import read_policies
from agent.policy.profiles import library_files, profile_files

DOCUMENT = Path(__file__).parents[2] / "docs/policies/library.md"
BEGIN, END = "<!-- made from tracingpolicies/ -->\n", "<!-- end -->\n"
CASES = Path(__file__).with_name("cases")
KEYS = {"NAME", "MODE", "BEFORE", "RUN", "STATUS", "EXPECT", "ANY", "AFTER", "REQUIRES"}
"""tests/tracingpolicies/README.md says what they mean."""
ENFORCED = "-enforced"


@dataclass(frozen=True)
class Case:
    """One case of one policy."""

    file: str
    """Name of the policy's file, without `.yaml`."""
    number: int
    content: Mapping[str, Any]

    @property
    def name(self) -> str:
        """As pytest shows it."""
        return f"{self.file}: {self.content['NAME']}"

    @property
    def is_enforced(self) -> bool:
        """Whether it is about the policy in enforce mode."""
        return self.content.get("MODE") == "enforce"

    @property
    def policy(self) -> str:
        """Name of the policy that is watched."""
        return self.file + ENFORCED if self.is_enforced else self.file

    def filled(self, key: str, names: Mapping[str, str]) -> Any:
        """A field with `$NAME` replaced; None where there is none."""
        return _filled(self.content.get(key), names)


def read_cases(directory: Path = CASES) -> Iterator[Case]:
    """All cases. Raises ValueError for one that is not written as it should be."""
    for path in sorted(directory.glob("*.yaml")):
        for number, content in enumerate(filter(None, yaml.safe_load_all(path.read_text()))):
            if set(content) - KEYS or not {"NAME", "RUN"} <= set(content):
                raise ValueError(f"{path.name}: {sorted(content)}")
            yield Case(path.stem, number, content)


@cache
def policies() -> dict[str, Policy]:
    """The library by file name."""
    found = {}
    for file in library_files():
        (found[file.stem],), problems = read_policies(file)
        assert not problems, problems
    return found


def needs(policy: Policy) -> list[str]:
    """What a kernel must offer to run it, in the words of tests/e2e/cases.py."""
    return sorted({word for hook in policy.hooks for word in _needs(hook)})


def enforced(file: Path, pid: int) -> str:
    """The policy in enforce mode, for descendants of one process only."""
    document = yaml.safe_load(file.read_text())
    document["metadata"]["name"] += ENFORCED
    spec = document["spec"]
    spec["options"] = [{"name": "policy-mode", "value": "enforce"}]
    for kind in ("kprobes", "lsmhooks", "tracepoints"):
        for hook in spec.get(kind, ()):
            for selector in hook["selectors"]:
                selector["matchPIDs"] = [{"operator": "In", "followForks": True, "values": [pid]}]
    return str(yaml.safe_dump(document))


def table() -> str:
    """The library as a table of Markdown, with the lines around it."""
    profiles = {
        name: {file.stem for file in profile_files(name)} for name in ("minimal", "default", "forensic")
    }
    rows = ["| policy | what it sees | hooks | volume | from profile | ATT&CK |", "|---|---|---|---|---|---|"]
    for name, policy in policies().items():
        told = {key.partition("/")[2]: text.strip() for key, text in policy.annotations}
        hooks = ", ".join(dict.fromkeys(f"`{hook.target}`" for hook in policy.hooks))
        first = next(profile for profile, members in profiles.items() if name in members)
        link = f"[{name}](../../tracingpolicies/{name}.yaml)"
        attack = told["attack"].replace(" ", ", ")
        rows.append(f"| {link} | {told['description']} | {hooks} | {told['volume']} | {first} | {attack} |")
    return BEGIN + "\n".join(rows) + "\n" + END


def _needs(hook: Hook) -> Iterator[str]:
    if hook.kind == "lsm":
        yield "lsm"
    elif hook.kind == "kprobe" and not hook.is_syscall:
        yield "return" if hook.returns else "function"
        if any(action.name == "Override" for selector in hook.selectors for action in selector.actions):
            yield "deny"


def _filled(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, names) for inner in value]
    return string.Template(value).safe_substitute(names) if isinstance(value, str) else value


if __name__ == "__main__":
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    DOCUMENT.write_text(before + table() + rest.partition(END)[2])
