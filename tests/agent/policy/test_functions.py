# SPDX-License-Identifier: Apache-2.0
"""Hooks on functions and LSM hooks of this kernel."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.kernel.btf import KIND_FWD, KIND_STRUCT
from agent.kernel.probes import Answer
from agent.policy.functions import PREEMPTED, SKIPPED
from agent.policy.model import Argument, Hook
from tests.agent.policy.planning import ALL, ONLY_RAW, acting, keys, kprobe, plan, shared, texts, without

pytestmark = pytest.mark.kernel

PREEMPTING = {**ALL, "preempts": Answer(True)}
OPEN = kprobe("security_file_open", "file")


def test_fentry_is_the_first_choice() -> None:
    assert keys(plan(OPEN)) == [("fentry", "security_file_open", "whole")]


def test_a_kprobe_is_the_second_and_says_why() -> None:
    found = plan(OPEN, known=without("fentry"))
    assert keys(found) == [("kprobe", "security_file_open", "whole")]
    assert found.uses[0].notes == ("no fentry: fentry is off",)


def test_where_the_kernel_skips_trampolines_kprobes_and_lsm_hooks_come_first() -> None:
    watched = plan(OPEN, known=PREEMPTING)
    assert keys(watched) == [("kprobe", "security_file_open", "whole")]
    assert watched.uses[0].notes == (PREEMPTED,)
    denied = plan(acting(OPEN, "Override"), known=PREEMPTING)
    assert keys(denied) == [("lsm", "file_open", "whole")]
    assert denied.uses[0].notes == (PREEMPTED,)
    assert denied.uses[0].function_name == "security_file_open"


def test_what_is_asked_for_and_returns_stay_trampolines_there() -> None:
    returned = replace(OPEN, returns=True, return_argument=Argument(0, "int"))
    at_end = plan(returned, known=PREEMPTING)
    assert (keys(at_end)[0][0], at_end.uses[0].notes) == ("fexit", (SKIPPED,))
    without_kprobes = plan(OPEN, known={**PREEMPTING, "kprobe": Answer(False, "off")})
    assert keys(without_kprobes)[0][0] == "fentry"
    assert without_kprobes.uses[0].notes == ("no kprobe: off", SKIPPED)
    assert keys(plan(acting(returned, "Override"), known=PREEMPTING))[0][0] == "fmod_ret"
    assert keys(plan(replace(OPEN, kind="fentry"), known=PREEMPTING))[0][0] == "fentry"
    asked = plan(acting(OPEN, "Override"), known=PREEMPTING, method="fmod-ret")
    assert keys(asked)[0][0] == "fmod_ret"
    assert asked.uses[0].notes == (SKIPPED,)


def test_without_both_it_is_refused_with_both_reasons() -> None:
    found = plan(OPEN, known=ONLY_RAW)
    assert not found.is_loadable
    assert "no fentry: fentry is off; no kprobe: kprobe is off" in texts(found)


def test_an_override_needs_fmod_ret() -> None:
    assert keys(plan(acting(OPEN, "Override")))[0][0] == "fmod_ret"


def test_an_override_that_is_impossible_is_an_error_with_the_way_out() -> None:
    found = plan(acting(OPEN, "Override"), known=without("fmod_ret", "bpf_override_return"))
    assert not found.is_loadable
    assert "lsmhooks, hook: file_open" in texts(found)


def test_in_monitor_mode_it_is_a_warning() -> None:
    found = plan(acting(OPEN, "Override"), known=without("fmod_ret", "bpf_override_return"), mode="monitor")
    assert found.is_loadable
    assert keys(found)[0][0] == "fentry"
    assert "Override of security_file_open is not possible here" in texts(found)


def test_fentries_take_no_action() -> None:
    found = plan(replace(acting(OPEN, "Sigkill"), kind="fentry"))
    assert "fentries take no action on calls: Sigkill" in texts(found)


def test_fentries_never_become_kprobes() -> None:
    found = plan(replace(OPEN, kind="fentry"), known=without("fentry"))
    assert (found.uses, found.is_loadable) == ((), False)


def test_a_function_that_is_misspelt_has_the_nearest_told() -> None:
    assert "did you mean tcp_connect" in texts(plan(kprobe("tcp_conect")))


def test_what_may_be_missing_is_missing_without_a_problem() -> None:
    found = plan(OPEN, kprobe("security_of_another_planet", ignore_not_found=True))
    assert (found.is_loadable, found.missing) == (True, ("security_of_another_planet",))


def test_a_system_call_is_told_to_be_one() -> None:
    assert "syscall: true" in texts(plan(kprobe("sys_openat")))


def test_what_programs_run_through_is_not_touched() -> None:
    assert "part of how programs run" in texts(plan(kprobe("bpf_ringbuf_reserve")))


def test_registers_need_a_kprobe() -> None:
    hook = replace(OPEN, data=(Argument(0, "uint64", source="pt_regs", resolve="rsp"),))
    assert keys(plan(hook))[0][0] == "kprobe"
    assert not plan(hook, known=without("kprobe")).is_loadable


def test_lsm_hooks_are_attached_as_such() -> None:
    hook = Hook("lsm", "file_open", arguments=(Argument(0, "file"),))
    assert keys(plan(hook)) == [("lsm", "file_open", "whole")]
    assert "lsm is off" in texts(plan(hook, known=without("lsm")))


def test_an_lsm_hook_that_returns_nothing_cannot_deny() -> None:
    found = plan(acting(Hook("lsm", "cred_free"), "Override"))
    assert "cred_free returns nothing" in texts(found)


def test_an_lsm_hook_is_not_called_by_its_functions_name() -> None:
    assert "(write file_open)" in texts(plan(Hook("lsm", "security_file_open")))


def test_a_struct_that_is_only_declared_is_not_read_by_fentry(monkeypatch: pytest.MonkeyPatch) -> None:
    types = shared(without()).btf
    kind, sock = types.kind, types.find("sock", KIND_STRUCT)
    monkeypatch.setattr(types, "kind", lambda number: KIND_FWD if number == sock else kind(number))
    found = plan(kprobe("tcp_connect", "nop"))
    assert keys(found) == [("kprobe", "tcp_connect", "whole")]
    assert "do not tell what struct sock *" in found.uses[0].notes[0]
