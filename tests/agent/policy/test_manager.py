# SPDX-License-Identifier: Apache-2.0
"""The life of policies, on real hooks."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

import pytest

from agent.errors import KernelRefused, UsageError
from agent.policy.contents import PolicyRefused
from agent.policy.layout import HOOK_SELECTORS
from agent.policy.manager import KILL_BUDGET, Policies
from agent.policy.model import Policy, Problem, Where
from agent.policy.status import PolicyStatus, State
from tests.agent.kernel.hooking import call
from tests.agent.policy.counting import ENTER, Running, plan, policy, running

pytestmark = pytest.mark.kernel


def parse(text: str, source: str) -> tuple[list[Policy], list[Problem]]:
    """Names, one a line; `!` is a mistake."""
    lines = text.split()
    problems = [
        Problem(Where(source, at, ""), f"wrong: {line}") for at, line in enumerate(lines, 1) if "!" in line
    ]
    return [policy(line) for line in lines if "!" not in line], problems


@pytest.fixture
def run() -> Iterator[Running]:
    with running() as started:
        yield started


@pytest.fixture
def policies(run: Running) -> Policies:
    return Policies(run.switch, run.shared.map("policies"), parse, plan)


def told(run: Running, policies: Policies) -> dict[str, PolicyStatus]:
    return {status.name: status for status in policies.statuses(run.hooks.state())}


def slot_of(run: Running, policies: Policies, name: str) -> tuple[int, ...]:
    raw = run.shared.map("policies").lookup(struct.pack("=I", told(run, policies)[name].slot))
    return struct.unpack("=IIQQ", raw or b"")


def test_a_policy_is_enabled_and_its_hooks_are_told(run: Running, policies: Policies) -> None:
    assert policies.add("p") == ["p"]
    call(4)
    status = told(run, policies)["p"]
    assert (status.state, status.mode, status.error) == (State.ENABLED, "enforce", "")
    assert [hook.attach for hook in status.hooks] == ["sys_enter", "sys_exit"]
    assert status.hooks[0].selectors[0].counts == {"matched": 4}
    assert status.hooks[0].instructions > 0
    assert status.hooks[0].is_attached


def test_mode_at_load_stands_above_the_policy_s_own(run: Running, policies: Policies) -> None:
    policies.add(policy("p", mode="monitor"))
    policies.add(policy("q", mode="monitor"), mode="enforce")
    assert [told(run, policies)[name].mode for name in "pq"] == ["monitor", "enforce"]
    assert slot_of(run, policies, "p")[:2] == (1, KILL_BUDGET)
    assert slot_of(run, policies, "q")[:2] == (2, KILL_BUDGET)


def test_a_mode_changes_alone(run: Running, policies: Policies) -> None:
    policies.add("p")
    epoch, slot = run.switch.epoch, told(run, policies)["p"].slot
    run.shared.map("policies").update(struct.pack("=I", slot), struct.pack("=IIQQ", 2, 7, 5, 3))
    policies.set_mode("p", "monitor")
    assert slot_of(run, policies, "p") == (1, 7, 5, 3)
    assert run.switch.epoch == epoch
    with pytest.raises(UsageError, match="off"):
        policies.set_mode("p", "off")


def test_what_cannot_be_enforced_here_is_monitored_and_stays_so(run: Running, policies: Policies) -> None:
    with pytest.raises(PolicyRefused, match="not possible here"):
        policies.add("unenforceable")
    policies.add("unenforceable", mode="monitor")
    with pytest.raises(PolicyRefused, match="not possible here"):
        policies.set_mode("unenforceable", "enforce")
    assert told(run, policies)["unenforceable"].mode == "monitor"


def test_a_policy_of_the_same_name_takes_the_place(run: Running, policies: Policies) -> None:
    policies.add("p")
    first = told(run, policies)["p"].slot
    policies.add(policy("p", selectors=3))
    status = told(run, policies)["p"]
    assert len(status.hooks[0].selectors) == 3
    assert status.slot != first
    assert len(run.switch.parts()) == 2


def test_a_bad_version_leaves_the_good_one_running(run: Running, policies: Policies) -> None:
    policies.add("p")
    with pytest.raises(PolicyRefused, match="wrong: p!"):
        policies.add("p!")
    with pytest.raises(KernelRefused):
        policies.add("refused")
    call(2)
    status = told(run, policies)
    assert status["p"].hooks[0].selectors[0].counts == {"matched": 2}
    assert status["refused"].state == State.LOAD_ERROR
    assert "refuses" in status["refused"].error


def test_what_cannot_be_planned_is_listed_with_the_reason(run: Running, policies: Policies) -> None:
    with pytest.raises(KernelRefused):
        policies.add("unplanned")
    status = told(run, policies)["unplanned"]
    assert (status.state, status.error, status.slot) == (State.LOAD_ERROR, "not here", -1)


def test_calls_that_are_missing_make_it_partial(run: Running, policies: Policies) -> None:
    policies.add("partial")
    status = told(run, policies)["partial"]
    assert (status.state, status.missing) == (State.PARTIALLY_ENABLED, ("sys_none",))


def test_a_disabled_policy_judges_nothing_and_comes_back(run: Running, policies: Policies) -> None:
    policies.add("p")
    policies.disable("p")
    assert run.hooks.keys() == []
    assert told(run, policies)["p"].state == State.DISABLED
    policies.enable("p")
    call(1)
    assert told(run, policies)["p"].hooks[0].selectors[0].counts == {"matched": 1}


def test_a_deleted_policy_is_gone(run: Running, policies: Policies) -> None:
    policies.add("p q")
    policies.delete("p")
    assert list(told(run, policies)) == ["q"]
    with pytest.raises(UsageError, match="no policy p"):
        policies.delete("p")


def test_a_skipped_policy_is_unloaded(run: Running, policies: Policies) -> None:
    policies.add("p")
    policies.skip(policy("p"))
    assert told(run, policies)["p"].state == State.SKIPPED
    assert run.hooks.keys() == []


def test_a_hook_that_somebody_detached_is_an_error(run: Running, policies: Policies) -> None:
    policies.add("p")
    state = run.hooks.state()
    state[ENTER] = state[ENTER]._replace(is_attached=False)
    (status,) = policies.statuses(state)
    assert (status.state, status.error) == (State.ERROR, "detached from 145")


def test_policies_that_come_and_go_leave_no_slot_and_no_descriptor(run: Running, policies: Policies) -> None:
    policies.add("p")
    policies.delete("p")
    before, slots = os.listdir("/proc/self/fd"), sorted(policies._free)
    for _ in range(30):
        policies.add("p q")
        policies.delete("p")
        policies.delete("q")
    assert len(os.listdir("/proc/self/fd")) <= len(before)
    assert sorted(policies._free) == slots


def test_new_policies_come_in_one_change(run: Running, policies: Policies) -> None:
    epoch = run.switch.epoch
    assert policies.add_new([policy("p"), policy("q")])
    call(3)
    assert run.switch.epoch == epoch + 1
    found = told(run, policies)
    assert [found[name].hooks[0].selectors[0].counts["matched"] for name in "pq"] == [3, 3]


def test_new_policies_come_together_or_not_at_all(run: Running, policies: Policies) -> None:
    policies.add("p")
    slots = len(policies._free)
    assert not policies.add_new([policy("q"), policy("p")])
    assert not policies.add_new([policy("q"), policy("many", selectors=HOOK_SELECTORS)])
    assert set(told(run, policies)) == {"p"}
    assert len(policies._free) == slots
