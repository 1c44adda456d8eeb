# SPDX-License-Identifier: Apache-2.0
"""Hooks of every kind."""

from __future__ import annotations

import pytest

from tests.agent.policy.policies import first, hook, policy, told


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ("kprobes: [{call: sys_openat}]", ("kprobe", "sys_openat", True, "")),
        ("kprobes: [{call: __x64_sys_openat}]", ("kprobe", "sys_openat", True, "64")),
        ("kprobes: [{call: i386/sys_openat, syscall: true}]", ("kprobe", "sys_openat", True, "32")),
        ("kprobes: [{call: tcp_connect, syscall: false}]", ("kprobe", "tcp_connect", False, "")),
        ("fentries: [{call: tcp_connect, syscall: false}]", ("fentry", "tcp_connect", False, "")),
        ("lsmhooks: [{hook: file_open}]", ("lsm", "file_open", False, "")),
        ("tracepoints: [{subsystem: sched, event: e}]", ("tracepoint", "sched/e", False, "")),
        ("tracepoints: [{subsystem: sched, event: e, raw: true}]", ("raw_tracepoint", "sched/e", False, "")),
    ],
)
def test_hooks_have_their_kind_and_target(spec: str, found: tuple[str, str, bool, str]) -> None:
    made = first(spec)
    assert (made.kind, made.target, made.is_syscall, made.abi) == found


def test_what_a_hook_says_is_kept() -> None:
    made = first(
        "kprobes: [{call: f, syscall: false, message: hello, tags: [aa, bb], ignore: {callNotFound: true}}]"
    )
    assert (made.message, made.tags, made.ignore_not_found) == ("hello", ("aa", "bb"), True)


def test_a_call_that_this_version_does_not_know_may_be_ignored() -> None:
    assert "is no system call" in told("kprobes: [{call: sys_nonesuch}]")[0]
    assert first("kprobes: [{call: sys_nonesuch, ignore: {callNotFound: true}}]").target == "sys_nonesuch"
    assert first("kprobes: [{call: sys_brandnew}]").target == "sys_brandnew"


def test_returned_sockets_may_be_tracked() -> None:
    more = "  return: true\n  returnArg: {index: 0, type: sock}\n  returnArgAction: TrackSock\n"
    assert first(hook("", more=more)).return_action == "TrackSock"
    assert "returnArg is int32" in told(hook("", more=more.replace("sock", "int")))[0]
    assert "needs the return value" in told(hook("", more="  returnArgAction: TrackSock\n"))[0]


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("kprobes: [{call: security_file_open}]", "`syscall: false` for a function"),
        ("kprobes: [{call: i386/f, syscall: false}]", "names an ABI, which functions have not"),
        ("lsmhooks: [{hook: bpf_lsm_file_open}]", "write file_open"),
        ("lsmhooks: [{hook: security_file_open}]", "write file_open"),
        ("uprobes: [{path: /bin/sh, symbols: [main]}]", "uprobes are not supported yet"),
        ("uprobes: [{path: /bin/sh}]", "gives no place in the program"),
        ("uprobes: [{path: /bin/sh, symbols: [a], offsets: [1]}]", "gives symbols and offsets"),
        ("uprobes: [{path: sh, symbols: [a]}]", "is not an absolute path"),
        ("uprobes: [{path: /bin/sh, symbols: [a], binaryDigests: ['md5:00']}]", "is not sha1:"),
        ("usdts: [{path: /bin/sh, provider: p, name: n, args: [{index: 0, type: it}]}]", "it is no type"),
        ("usdts: [{path: /bin/sh, provider: p, name: n}]", "usdts are not supported yet"),
    ],
)
def test_hooks_that_do_not_work_are_told(spec: str, problem: str) -> None:
    assert any(problem in each for each in told(spec)), told(spec)


def test_hooks_of_a_policy_are_bounded() -> None:
    calls = ", ".join(f"f{n}" for n in range(1025))
    assert (
        "the policy has 1025 hooks"
        in told(f"lists: [{{name: x, values: [{calls}]}}]\nkprobes: [{{call: 'list:x'}}]")[0]
    )


def test_the_same_function_may_be_hooked_twice() -> None:
    assert len(policy("kprobes: [{call: f, syscall: false}, {call: f, syscall: false}]").hooks) == 2
