# SPDX-License-Identifier: Apache-2.0
"""Dispatchers send a call to its own slot and to no other."""

from __future__ import annotations

import ctypes

import pytest

from agent.kernel import dispatch
from agent.kernel.btf import Btf
from agent.policy.values import HookKey
from tests.agent.kernel.hooking import ALWAYS, CALL, call, counted, hook_set

pytestmark = pytest.mark.kernel


def test_the_layout_is_read_from_this_kernel() -> None:
    with Btf.of_kernel() as btf:
        layout = dispatch.call_layout(btf)
        assert 0 < layout.status < btf.size("thread_info")
        assert layout.number < btf.size("pt_regs")


def test_a_number_beyond_the_table_reaches_no_slot_of_the_other_abi() -> None:
    beyond = dispatch.SYSTEM_CALLS + 145
    with hook_set() as hooks:
        compat = HookKey("sys_enter", "32/145")
        hooks.install(compat, ALWAYS)
        ctypes.CDLL(None).syscall(beyond, 0)
        assert counted(hooks, compat) == 0


def test_one_dispatcher_serves_all_system_calls() -> None:
    other = HookKey("sys_enter", "143")  # sched_getparam
    with hook_set() as hooks:
        hooks.install(other, ALWAYS)
        hooks.install(CALL, ALWAYS)
        call(3)
        hooks.remove(other)
        call(1)
        assert counted(hooks, CALL) == 4
        assert len({place.array for place in hooks._places.values()}) == 1
