# SPDX-License-Identifier: Apache-2.0
"""Lists: of functions, of system calls, of values."""

from __future__ import annotations

import pytest

from agent.policy.lists import SUGGESTIONS
from agent.policy.syscalls import COMPAT, native, number
from tests.agent.policy.policies import policy, told


def listed(entry: str, hook: str = "kprobes: [{call: 'list:x'}]") -> str:
    return f"lists: [{{name: x, {entry}}}]\n{hook}\n"


def compared(entry: str, kind: str) -> str:
    match = "matchArgs: [{index: 0, operator: InMap, values: ['list:x']}]"
    read = f"args: [{{index: 0, type: {kind}}}], selectors: [{{{match}}}]"
    hook = f"kprobes: [{{call: f, syscall: false, {read}}}]"
    return listed(entry, hook)


def test_a_list_of_functions_is_one_hook_each() -> None:
    hooks = policy(listed("values: [vfs_read, vfs_write]")).hooks
    assert [(hook.target, hook.is_syscall) for hook in hooks] == [("vfs_read", False), ("vfs_write", False)]


def test_system_calls_may_name_their_abi() -> None:
    hooks = policy(listed("type: syscalls, values: [sys_dup, i386/sys_dup]")).hooks
    assert [(hook.target, hook.is_syscall, hook.abi) for hook in hooks] == [
        ("sys_dup", True, ""), ("sys_dup", True, "32"),
    ]  # fmt: skip


def test_calls_of_generated_lists_are_marked() -> None:
    (written,) = policy(listed("type: syscalls, values: [sys_read]")).hooks
    assert not written.is_generated
    assert all(hook.is_generated for hook in policy(listed("type: generated_syscalls")).hooks)


def test_generated_lists_are_what_the_kernel_has() -> None:
    found = policy(listed("type: generated_ftrace, pattern: '^ksys_*'")).hooks
    assert [hook.target for hook in found] == ["ksys_read", "ksys_write"]
    calls = policy(listed("type: generated_syscalls")).hooks
    assert [hook.target for hook in calls] == ["sys_openat", "sys_read", "sys_brandnew"]


def test_system_calls_among_values_are_numbers() -> None:
    (hook,) = policy(compared("type: syscalls, values: [sys_dup, i386/sys_dup]", "syscall64")).hooks
    assert hook.selectors[0].arguments[0].values == (str(number("sys_dup", native())), str(COMPAT | 41))
    (hook,) = policy(compared("type: syscalls, values: [sys_dup]", "uint64")).hooks
    assert hook.selectors[0].arguments[0].values == (str(number("sys_dup", native())),)


def test_plain_lists_among_values_are_texts() -> None:
    spec = compared("values: [/a, /b]", "string").replace("InMap", "Prefix")
    assert policy(spec).hooks[0].selectors[0].arguments[0].values == ("/a", "/b")


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (listed("values: [f]").replace("list:x", "list:y"), "there is no list y"),
        (
            listed("type: syscalls, values: [sys_opne]"),
            'sys_opne is no system call (did you mean "sys_open"?)',
        ),
        (listed("type: syscalls, values: [dup]"), "write sys_dup"),
        (listed("type: syscalls"), "has no values"),
        (listed("type: generated_ftrace"), "needs a pattern"),
        (listed("type: generated_ftrace, pattern: '^zzz'"), "no function of this kernel matches ^zzz"),
        (listed("type: generated_ftrace, pattern: '('"), "is no regular expression"),
        (listed("type: generated_syscalls, values: [sys_read]"), "finds its values itself"),
        (listed("values: [f], pattern: x"), "has no pattern"),
        (
            "lists: [{name: x, values: [f]}, {name: x, values: [g]}]\nkprobes: [{call: 'list:x'}]",
            "two lists x",
        ),
        (compared("type: syscalls, values: [i386/sys_dup]", "uint64"), "use the type syscall64"),
        (
            compared("type: syscalls, values: [sys_dup]", "string").replace("InMap", "Equal"),
            "lists system calls",
        ),
        (compared("values: [abc]", "int"), "abc is not an integer"),
    ],
)
def test_lists_that_do_not_work_are_told(spec: str, problem: str) -> None:
    assert any(problem in each for each in told(spec)), told(spec)


def test_a_thousand_wrong_names_are_told_without_as_many_searches() -> None:
    hooks = ", ".join(f"{{call: sys_opne{number}, syscall: true}}" for number in range(100))
    problems = told(f"kprobes: [{hooks}]")
    assert len(problems) == 100 and sum("did you mean" in one for one in problems) == SUGGESTIONS
