# SPDX-License-Identifier: Apache-2.0
"""Fields of policies: unknown, missing, too long."""

from __future__ import annotations

import pytest

from agent.policy import bounds
from agent.policy.schema import ERRNOS, SIGNALS
from tests.agent.policy.policies import HEAD, hook, policy, read, told


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("kprobe: []", 'kprobe: kprobe is not a field here (did you mean "kprobes"?)'),
        ("kprobes: [{syscall: false}]", "kprobes[0]: call is missing"),
        ("kprobes: [{call: f, sycall: false}]", 'did you mean "syscall"?'),
        ('kprobes: [{call: "f g"}]', "is not the name of a function"),
        ("kprobes: [{call: f, syscall: false, message: x}]", "has 1 characters (allowed are 2 to 256)"),
        ("tracepoints: [{subsystem: sched}]", "tracepoints[0]: event is missing"),
        ("lsmhooks: [{hook: File_Open}]", "is not the name of an LSM hook"),
        ("enforcers: [{calls: [sys_read]}, {calls: [sys_read]}]", "at most 1 are allowed"),
    ],
)
def test_fields_that_do_not_fit_are_told(spec: str, problem: str) -> None:
    assert any(problem in each for each in told(spec))


@pytest.mark.parametrize("name", ["A", "-a", "a_b", "a" * 254, "a/b"])
def test_names_are_those_of_kubernetes(name: str) -> None:
    problems = told(hook(""), HEAD.replace("name: t", f'name: "{name}"'))
    assert problems[0].startswith("metadata.name: ")


def test_sixteen_selectors_eight_arguments_and_eight_actions_are_allowed() -> None:
    eight = ", ".join(f"{{index: {n}, type: int}}" for n in range(8))
    selectors = "".join(
        f'  - matchArgs: [{{index: 0, operator: Equal, values: ["{n}"]}}]\n' for n in range(16)
    )
    made = policy(hook(eight, more=f"  selectors:\n{selectors}")).hooks[0]
    assert (len(made.arguments), len(made.selectors), bounds.ACTIONS) == (8, 16, 8)


def test_limits_are_announced_where_they_are_reached() -> None:
    many = ", ".join(f"{{index: {n}, type: int}}" for n in range(9))
    assert told(hook(many)) == ["kprobes[0].args: has 9 elements (at most 8 are allowed)"]
    selectors = "  selectors: [" + "{}, " * (bounds.SELECTORS + 1) + "]\n"
    assert f"at most {bounds.SELECTORS} are allowed" in told(hook("", more=selectors))[0]


def test_thousands_of_values_are_read() -> None:
    values = ", ".join(f'"/path/{n}"' for n in range(5000))
    found = policy(
        hook("{index: 0, type: file}", f"matchArgs: [{{index: 0, operator: Equal, values: [{values}]}}]")
    )
    assert len(found.hooks[0].selectors[0].arguments[0].values) == 5000


def test_all_problems_of_a_file_are_told_at_once() -> None:
    _, problems = read("kprobes:\n- call: f\n  syscall: maybe\n  argz: []\n- message: hello\nfoo: 1\n")
    assert [problem.where.line for problem in problems] == [8, 9, 10, 11]


def test_signals_and_errors_have_their_names() -> None:
    assert (SIGNALS["SIGKILL"], ERRNOS["EPERM"], ERRNOS["EWOULDBLOCK"]) == (9, 1, 11)
