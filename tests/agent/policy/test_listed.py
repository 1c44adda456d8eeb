# SPDX-License-Identifier: Apache-2.0
"""Policies as JSON."""

from __future__ import annotations

from agent.policy.listed import listed
from agent.policy.model import Problem, Where
from agent.policy.status import HookStatus, PolicyStatus, SelectorStatus, State


def hook(target: str, survives: bool = True) -> HookStatus:
    selectors = (SelectorStatus("far", 0, {"matched": 3}),)
    return HookStatus(
        "spec.kprobes[0]", "f", "fentry", target, 100, 5000, survives, True, 0, selectors, ("a note",)
    )


def policy(name: str, *hooks: HookStatus) -> PolicyStatus:
    warning = Problem(Where("p.yaml", 3, ""), "take care", is_error=False)
    return PolicyStatus(name, "", State.ENABLED, "enforce", "", 0, hooks, ("gone",), (warning,))


def test_policies_stand_by_name() -> None:
    assert [one["name"] for one in listed([policy("b"), policy("a")])] == ["a", "b"]


def test_policies_tell_where_they_come_from() -> None:
    sources = ["<api>", "kubernetes", "/etc/p.yaml"]
    told = listed([policy(one)._replace(source=one) for one in sources])
    assert {one["source"]: one["domain"] for one in told} == dict(
        zip(sources, ["grpc", "k8s", "static"], strict=True)
    )


def test_memory_of_a_program_counts_once() -> None:
    (told,) = listed([policy("a", hook("x"), hook("x"), hook("y"))])
    assert told["memory_bytes"] == 10000


def test_memory_that_hooks_share_counts_once() -> None:
    both = [hook(target)._replace(shared={"stacks": 700, target: 1}) for target in ("x", "y")]
    (told,) = listed([policy("a", *both)])
    assert told["memory_bytes"] == 10702
    assert told["hooks"][0]["shared"] == {"stacks": 700, "x": 1}


def test_it_survives_when_all_its_hooks_do() -> None:
    both, one, none = listed([policy("a", hook("x")), policy("b", hook("x"), hook("y", False)), policy("c")])
    assert (both["survives_restart"], one["survives_restart"], none["survives_restart"]) == (
        True,
        False,
        False,
    )


def test_hooks_tell_their_selectors_and_notes_and_policies_their_warnings() -> None:
    (told,) = listed([policy("a", hook("x"))])
    assert told["hooks"][0]["selectors"] == [{"label": "far", "position": 0, "counts": {"matched": 3}}]
    assert (told["hooks"][0]["notes"], told["missing"]) == (["a note"], ["gone"])
    assert told["warnings"] == ["p.yaml:3: take care"]
