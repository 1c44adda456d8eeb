# SPDX-License-Identifier: Apache-2.0
"""Enforcers: functions that deny what other hooks have found."""

from __future__ import annotations

import os

import pytest

from agent.kernel.probes import Answer
from agent.policy.model import Action, Hook, Options, Policy, Selector
from agent.policy.plan import plan_policy
from agent.policy.values import Plan
from tests.agent.policy.planning import ALL, ONLY_RAW, keys, shared, texts

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="names are those of x86-64"),
]


def notifying(known: dict[str, Answer], *calls: str, signal: int = 0, mode: str = "") -> Plan:
    """A policy whose hook on all system calls leaves word for these."""
    action = Action("NotifyEnforcer", error=-1, signal=signal)
    hook = Hook("raw_tracepoint", "raw_syscalls/sys_enter", selectors=(Selector(actions=(action,)),))
    policy = Policy("test", hooks=(hook,), enforcer_calls=calls, options=Options(mode))
    return plan_policy(policy, shared(known))


def test_each_call_is_a_use_in_both_abis() -> None:
    found = notifying(ALL, "sys_dup")
    assert keys(found)[1:] == [
        ("kprobe", "__x64_sys_dup", "enforcer"),
        ("kprobe", "__ia32_sys_dup", "enforcer"),
    ]


def test_functions_are_possible_as_well() -> None:
    assert keys(notifying(ALL, "security_file_open"))[1:] == [("fmod_ret", "security_file_open", "enforcer")]


def test_where_the_kernel_skips_trampolines_the_lsm_hook_denies() -> None:
    found = notifying({**ALL, "preempts": Answer(True)}, "security_file_open")
    assert keys(found)[1:] == [("lsm", "file_open", "enforcer")]
    assert found.uses[1].function_name == "security_file_open"


def test_where_nothing_can_be_overridden_it_is_an_error() -> None:
    found = notifying(ONLY_RAW, "sys_dup")
    assert not found.is_loadable
    assert "enforcers: sys_dup cannot be overridden here" in texts(found)


@pytest.mark.parametrize(("signal", "mode"), [(9, ""), (0, "monitor")])
def test_signals_and_monitoring_remain(signal: int, mode: str) -> None:
    found = notifying(ONLY_RAW, "sys_dup", signal=signal, mode=mode)
    assert found.is_loadable
    assert "signals are sent by the hooks that notify" in texts(found)


def test_a_call_that_does_not_exist_is_told() -> None:
    assert "this kernel has no sys_teleport" in texts(notifying(ALL, "sys_teleport"))


def test_word_that_nobody_hears_is_an_error() -> None:
    assert "no enforcers are given" in texts(notifying(ALL))


def test_who_notifies_signals_where_some_call_cannot_be_overridden() -> None:
    hooks = [use for use in notifying(ONLY_RAW, "sys_dup", signal=9).uses if use.part != "enforcer"]
    assert [use.signals_at_once for use in hooks] == [True]
    assert not any(use.signals_at_once for use in notifying(ALL, "sys_dup", signal=9).uses)
