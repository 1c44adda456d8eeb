# SPDX-License-Identifier: Apache-2.0
"""What selectors do."""

import pytest

from agent.policy.deeds import Deeds, Phase, deeds_of, hook_flags, names_processes, pack_selector
from agent.policy.layout import NO_VALUE, SELECTOR, ActionFlag, HookFlag
from agent.policy.model import Action, BinaryFilter, Hook, PidFilter, Selector

HOOK = Hook("kprobe", "f")


def flags(*actions: Action, hook: Hook = HOOK, phase: Phase = Phase.WHOLE) -> ActionFlag:
    return deeds_of(hook, Selector(actions=actions), phase).flags


def test_an_event_is_posted_unless_that_is_said() -> None:
    assert flags() == ActionFlag.POST
    assert flags(Action("Sigkill")) == ActionFlag.POST | ActionFlag.SIGNAL
    assert flags(Action("Override", error=-1), Action("NoPost")) == ActionFlag.OVERRIDE


def test_a_kill_outdoes_other_signals() -> None:
    selector = Selector(actions=(Action("Sigkill"), Action("Signal", signal=10)))
    assert deeds_of(HOOK, selector, Phase.WHOLE).signal == 9


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("thread", ActionFlag.RATE_LIMIT),
        ("process", ActionFlag.RATE_LIMIT | ActionFlag.RATE_BY_PROCESS),
        ("global", ActionFlag.RATE_LIMIT | ActionFlag.RATE_GLOBAL),
    ],
)
def test_a_rate_limit_has_a_scope(scope: str, expected: ActionFlag) -> None:
    assert flags(Action("Post", rate_ns=5, rate_scope=scope)) == ActionFlag.POST | expected


def test_at_entry_nothing_is_posted_of_a_call_that_is_reported_at_its_return() -> None:
    hook = Hook("kprobe", "f", returns=True)
    assert flags(Action("Sigkill"), hook=hook, phase=Phase.ENTRY) == ActionFlag.SIGNAL
    assert flags(Action("Sigkill"), hook=hook, phase=Phase.RETURN) == ActionFlag.POST


def test_a_return_value_can_be_tracked() -> None:
    hook = Hook("kprobe", "f", returns=True, return_action="TrackSock")
    deeds = deeds_of(hook, Selector(), Phase.WHOLE)
    assert (deeds.flags & ActionFlag.TRACK_SOCK, deeds.sock) == (ActionFlag.TRACK_SOCK, -1)


def test_programs_hold_what_their_selectors_do() -> None:
    deeds = [Deeds(ActionFlag.POST | ActionFlag.KERNEL_STACK), Deeds(ActionFlag.OVERRIDE)]
    assert hook_flags(deeds) == HookFlag.KERNEL_STACK | HookFlag.OVERRIDES


def test_only_who_is_told_by_name_is_named() -> None:
    assert names_processes(Selector(binaries=(BinaryFilter("In", ("/sbin/init",)),)))
    assert names_processes(Selector(pids=(PidFilter(True, (1,)),)))
    assert not names_processes(Selector(binaries=(BinaryFilter("In", ("/sbin/init",), True),)))
    assert not names_processes(Selector(binaries=(BinaryFilter("NotIn", ("/bin/sh",)),)))


def test_a_selector_is_packed() -> None:
    deeds = Deeds(ActionFlag.SIGNAL, -1, 9, 7)
    packed = pack_selector(
        deeds, epochs=(3, 4), later=2, slot=5, values=6, sock_value=None, is_return=True, names_protected=True
    )
    assert SELECTOR.unpack(packed) == (3, 4, b"\2" + bytes(31), 5, 8, -1, 9, 6, NO_VALUE, 1, 7, 1)
