# SPDX-License-Identifier: Apache-2.0
"""Policies for what rules need: names of the library's, and one that is written for the rest."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import starmap
from typing import Any, NamedTuple

from agent.detect.conditions import Check, fields_of
from agent.detect.fold import condition_for
from agent.detect.needs import Need, State, Verdict
from agent.detect.rules import Rule

NAME = "for-sigma-rules"
"""Of the policy that is written."""
MAX_NAMES = 250
"""Values of one selector."""
MAX_BYTES = {"Equal": 4095, "Prefix": 255, "Postfix": 127, "SubString": 1024}
"""Bytes of a value: docs/policies/reference.md."""
OPERATORS = {"equals": "Equal", "startswith": "Prefix", "endswith": "Postfix", "contains": "SubString"}
FMODE_WRITE = "2"
"""Linux, include/linux/fs.h"""


class Suggestion(NamedTuple):
    """What to load."""

    policies: tuple[str, ...]
    """Of the library."""
    text: str
    """A TracingPolicy for what the library does not give; empty: nothing is left that a policy can give."""
    uncovered: tuple[str, ...]
    """What no policy can be written for, in words."""


def suggest(verdicts: Iterable[Verdict]) -> Suggestion:
    """Policies for all rules that can be evaluated."""
    chosen = [verdict for verdict in verdicts if verdict.state is not State.REFUSED]
    needs = [(verdict, need) for verdict in chosen for need in verdict.needs]
    policies = sorted({name for _, need in needs for name in need.policies})
    hooks, uncovered = _Hooks(), []
    for verdict, need in needs:
        if not need.is_covered and not hooks.add(need, _arguments_asked(verdict.rule)):
            uncovered.append(f"{verdict.rule.title}: {need.what}, whatever their names")
    return Suggestion(tuple(policies), hooks.text(), tuple(dict.fromkeys(uncovered)))


class _Hooks:
    """The hooks of the policy that is written."""

    def __init__(self) -> None:
        self._files: dict[tuple[str, bool], dict[str, dict[str, None]]] = {}
        """By function and whether the file is written: names by operator."""
        self._calls: dict[str, int] = {}
        """System calls, with how many of their arguments are read."""

    def add(self, need: Need, arguments: int) -> bool:
        """Whether a hook can be written for it. `arguments`: how many of a system call's are asked for."""
        if need.hook.startswith("sys_"):
            calls = need.what.removeprefix("the system call").removeprefix("s").strip()
            for call in calls.split(", "):
                self._calls[f"sys_{call}"] = max(arguments, self._calls.get(f"sys_{call}", 0))
            return True
        names = [_name_of(check) for check in need.checks]
        if need.hook != "security_file_open" or not names or None in names:
            return False
        place = self._files.setdefault((need.hook, "written" in need.what), {})
        for name in names:
            if name is not None:
                place.setdefault(name[0], {})[name[1]] = None
        return True

    def text(self) -> str:
        """The policy; empty when it has no hooks."""
        import yaml

        hooks = [*(self._file_hook(*key) for key in self._files), *starmap(_call_hook, self._calls.items())]
        if not hooks:
            return ""
        document = {
            "apiVersion": "cilium.io/v1alpha1",
            "kind": "TracingPolicy",
            "metadata": {"name": NAME},
            "spec": {"kprobes": hooks},
        }
        return yaml.safe_dump(document, sort_keys=False, width=110)

    def _file_hook(self, function: str, is_write: bool) -> dict[str, Any]:
        selectors = []
        for operator, names in self._files[function, is_write].items():
            values = list(names)
            for begin in range(0, len(values), MAX_NAMES):
                matches = [{"args": [0], "operator": operator, "values": values[begin : begin + MAX_NAMES]}]
                if is_write:
                    matches.append({"args": [1], "operator": "Mask", "values": [FMODE_WRITE]})
                selectors.append({"matchArgs": matches})
        return {
            "call": function,
            "syscall": False,
            "message": "file written" if is_write else "file opened",
            "args": [
                {"index": 0, "type": "file"},
                {"index": 0, "type": "uint32", "resolve": "f_mode", "label": "mode"},
            ],
            "selectors": selectors,
        }


def _arguments_asked(rule: Rule) -> int:
    """Up to which argument of a system call a rule asks (`a0` to `a3`): many calls have fewer than that, and
    a policy that reads more of them is refused."""
    node = condition_for(rule.condition, "auditd/SYSCALL")
    names = fields_of(node) if node is not None else ()
    return max((int(name[1:]) + 1 for name in names if name in ("a0", "a1", "a2", "a3")), default=0)


def _call_hook(function: str, count: int) -> dict[str, Any]:
    hook = {"call": function, "syscall": True, "message": f"{function[4:]} called"}
    arguments = [{"index": index, "type": "uint64"} for index in range(count)]
    return {**hook, "args": arguments} if arguments else hook


def _name_of(check: Check) -> tuple[str, str] | None:
    """Operator and value; None for what no operator of policies compares. Case counts there, so it is as
    the rule has it. Of a text with wildcards the longest piece is looked for: the rule decides."""
    operator = OPERATORS.get(check.op)
    value = check.value if check.written is None else check.written
    if check.op == "glob" and isinstance(value, tuple):
        operator, value = "SubString", max((p for p in value if isinstance(p, str)), key=len, default="")
    if operator is None or not 0 < len(str(value).encode()) <= MAX_BYTES[operator]:
        return None
    return operator, str(value)
