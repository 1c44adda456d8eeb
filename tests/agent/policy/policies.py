# SPDX-License-Identifier: Apache-2.0
"""Policies of a few lines, for the tests of what reads them."""

from __future__ import annotations

from textwrap import indent

from agent.policy.model import Hook, Policy, Problem, Selector
from agent.policy.parse import parse_policies

HEAD = "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata:\n  name: t\nspec:\n"


class Names:
    """A small kernel."""

    def functions(self) -> list[str]:
        return ["ksys_read", "ksys_write", "vfs_read"]

    def system_calls(self) -> list[str]:
        return ["sys_openat", "sys_read", "sys_brandnew"]


def read(spec: str, head: str = HEAD) -> tuple[list[Policy], list[Problem]]:
    return parse_policies(head + indent(spec, "  "), "t.yaml", Names())


def policy(spec: str) -> Policy:
    """The one policy, which has no problems."""
    policies, problems = read(spec)
    assert problems == []
    return policies[0]


def told(spec: str, head: str = HEAD) -> list[str]:
    """`path: text (hint)` of every problem; the path without `spec.`."""
    return [f"{p.where.path.removeprefix('spec.')}: {p.text} ({p.hint})" for p in read(spec, head)[1]]


def hook(arguments: str, selector: str = "", call: str = "f", more: str = "") -> str:
    """A kprobe with arguments in flow style and one selector."""
    chosen = f"  selectors:\n  - {selector}\n" if selector else ""
    syscall = "true" if "sys_" in call else "false"
    return f"kprobes:\n- call: {call}\n  syscall: {syscall}\n  args: [{arguments}]\n{chosen}{more}"


def argument(kind: str, match: str, more: str = "") -> str:
    """A kprobe with one argument and one matchArgs entry, in flow style."""
    return hook(f"{{index: 0, type: {kind}{more}}}", f"matchArgs: [{{index: 0, {match}}}]")


def selector(text: str, arguments: str = "{index: 0, type: int}") -> Selector:
    """The selector of a kprobe that has no problems."""
    return first(hook(arguments, text)).selectors[0]


def first(spec: str) -> Hook:
    """The first hook of a policy without problems."""
    return policy(spec).hooks[0]
