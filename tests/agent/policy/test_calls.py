# SPDX-License-Identifier: Apache-2.0
"""Hooks on system calls, in both ABIs of this machine."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from agent.kernel.view import KernelView
from agent.policy.model import Argument, Policy
from agent.policy.plan import plan_policy
from agent.policy.values import ValueFlag, ValueType
from tests.agent.policy.planning import ALL, ONLY_RAW, acting, keys, kprobe, plan, shared, texts, without

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="names and numbers are those of x86-64"),
]

OPENAT = kprobe("sys_openat", "int", "string", "int", is_syscall=True)


def test_both_abis_are_hooked_at_their_entry_functions() -> None:
    found = keys(plan(OPENAT))
    assert found[0] == ("fentry", "__x64_sys_openat", "whole")
    assert found[1] == ("fentry", "__ia32_compat_sys_openat", "whole")


def test_one_abi_alone_can_be_asked_for() -> None:
    assert [key[1] for key in keys(plan(replace(OPENAT, abi="64")))] == ["__x64_sys_openat"]
    assert [key[1] for key in keys(plan(replace(OPENAT, abi="32")))] == ["__ia32_compat_sys_openat"]


def test_the_entry_functions_own_name_means_its_abi() -> None:
    assert [key[1] for key in keys(plan(replace(OPENAT, target="__x64_sys_openat")))] == ["__x64_sys_openat"]


def test_a_bare_name_is_refused_with_the_right_one() -> None:
    assert "(write sys_openat)" in texts(plan(replace(OPENAT, target="openat")))


def test_without_fentry_and_kprobes_the_number_tells_the_call() -> None:
    found = plan(OPENAT, known=ONLY_RAW)
    assert keys(found) == [("sys_enter", "257", "whole"), ("sys_enter", "32/295", "whole")]
    assert found.uses[0].function_name == "__x64_sys_openat"


def test_a_call_without_arguments_has_one_function_for_both_abis() -> None:
    getpid = kprobe("sys_getpid", is_syscall=True)
    assert [key[1] for key in keys(plan(getpid))] == ["__x64_sys_getpid"]
    assert [key[1] for key in keys(plan(getpid, known=ONLY_RAW))] == ["39", "32/20"]


def test_symbols_are_not_read_for_a_call_that_the_types_know() -> None:
    with KernelView(ALL) as fresh:
        assert plan_policy(Policy("test", hooks=(OPENAT,)), fresh).is_loadable
        assert "symbols" not in vars(fresh)


def test_types_that_know_a_call_know_its_32_bit_functions() -> None:
    view = shared(ALL)
    known = view.btf.has_function
    entries = {name for name in view.symbols if name.startswith(("__ia32_sys_", "__ia32_compat_sys_"))}
    calls = {name.partition("sys_")[2]: name for name in entries if "." not in name}
    assert [name for call, name in calls.items() if known(f"__x64_sys_{call}") and not known(name)] == []


def test_16_bit_calls_of_the_32_bit_abi_are_covered() -> None:
    setuid = kprobe("sys_setuid", "int", is_syscall=True)
    assert "__ia32_sys_setuid16" in [key[1] for key in keys(plan(setuid))]
    numbers = {key[1] for key in keys(plan(setuid, known=ONLY_RAW))}
    assert numbers == {"105", "32/213", "32/23"}


def test_what_socketcall_reaches_is_told() -> None:
    found = plan(kprobe("sys_connect", "int", is_syscall=True))
    assert "socketcall(2)" in " ".join(found.uses[1].notes)


def test_an_integer_alone_is_read_at_the_end_and_text_at_both() -> None:
    dup = kprobe(
        "sys_dup", "int", is_syscall=True, abi="64", returns=True, return_argument=Argument(0, "int")
    )
    assert keys(plan(dup)) == [("fexit", "__x64_sys_dup", "whole")]
    opened = replace(OPENAT, abi="64", returns=True, return_argument=Argument(0, "int"))
    assert [key[2] for key in keys(plan(opened))] == ["entry", "return"]
    assert [key[0] for key in keys(plan(opened, known=ONLY_RAW))] == ["sys_enter", "sys_exit"]


def test_execve_is_looked_at_in_two_parts() -> None:
    hook = kprobe("sys_execve", is_syscall=True, abi="64", returns=True, return_argument=Argument(0, "int"))
    assert [use.part for use in plan(hook).uses] == ["entry", "return"]


def test_text_is_in_user_memory() -> None:
    value = plan(OPENAT).uses[0].values[1]
    assert (value.type, value.index) == (ValueType.STRING, 1)
    assert value.flags & ValueFlag.USER


def test_arguments_have_the_types_of_the_declaration() -> None:
    found = plan(replace(OPENAT, arguments=tuple(Argument(index, "auto") for index in range(4))))
    assert [shown.type for shown in found.uses[0].shown][:3] == ["int32", "string", "int32"]


def test_an_argument_that_the_call_does_not_have_is_refused() -> None:
    assert "sys_openat has no argument 4" in texts(plan(replace(OPENAT, arguments=(Argument(4, "int"),))))


def test_a_call_that_does_not_exist_has_the_nearest_told() -> None:
    assert "sys_openat" in texts(plan(kprobe("sys_opennat", is_syscall=True)))


def test_an_override_takes_the_kprobe_with_its_helper() -> None:
    assert keys(plan(acting(OPENAT, "Override"), method="override-return"))[0][0] == "kprobe"


def test_an_override_that_is_impossible_is_told_once_with_the_lsm_hook() -> None:
    found = plan(acting(OPENAT, "Override"), known=without("bpf_override_return", "fmod_ret"))
    assert not found.is_loadable
    assert texts(found).count("Override of sys_openat") == 1
    assert "hook: file_open" in texts(found)
