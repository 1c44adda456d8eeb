# SPDX-License-Identifier: Apache-2.0
"""Changes on all hooks at one instant, on real hooks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from agent.errors import HookRefused, KernelRefused, TracehoundError
from agent.policy.model import Policy
from agent.policy.switch import FOREVER, Part
from agent.policy.values import HookKey, HookUse
from tests.agent.kernel.hooking import call
from tests.agent.policy.counting import ENTER, EXIT, Running, policy, running, use

pytestmark = pytest.mark.kernel
NOWHERE = HookKey("raw_tp", "no_such_tracepoint")


@pytest.fixture
def run() -> Iterator[Running]:
    with running() as started:
        yield started


def matched(run: Running, parts: list[Part]) -> list[list[int]]:
    return [[row[0] if row else 0 for row in run.switch.counts(part)] for part in parts]


def test_a_policy_counts_on_all_its_hooks_from_one_epoch_on(run: Running) -> None:
    p = policy()
    parts = run.switch.change([], [(p, 0, use(p, ENTER)), (p, 0, use(p, EXIT))])
    call(3)
    assert matched(run, parts) == [[3], [3]]
    assert {part.since for part in parts} == {run.switch.epoch}


@pytest.mark.parametrize(("takes_over", "judged"), [(False, 0), (True, 1)])
def test_who_takes_over_judges_as_soon_as_a_hook_is_there(
    run: Running, monkeypatch: pytest.MonkeyPatch, takes_over: bool, judged: int
) -> None:
    real = run.hooks.install

    def install(*what: Any) -> None:
        real(*what)
        call(1)

    monkeypatch.setattr(run.hooks, "install", install)
    run.switch.takes_over = takes_over
    p = policy()
    assert matched(run, run.switch.change([], [(p, 0, use(p))])) == [[judged]]
    q = policy("q")
    assert matched(run, run.switch.change([], [(q, 1, use(q))])) == [[0]]  # a hook of our own was there


def test_a_policy_that_goes_leaves_the_others_counting(run: Running) -> None:
    p, q = policy("p"), policy("q", selectors=2)
    first = run.switch.change([], [(p, 0, use(p))])
    second = run.switch.change([], [(q, 1, use(q))])
    call(1)
    run.switch.change(first, [])
    call(1)
    assert matched(run, second) == [[2, 2]]
    assert [part.policy.name for part in run.switch.parts()] == ["q"]


def test_a_hook_that_nobody_uses_is_detached(run: Running) -> None:
    p = policy()
    parts = run.switch.change([], [(p, 0, use(p))])
    run.switch.change(parts, [])
    assert run.hooks.keys() == []
    assert run.switch.parts() == []


def test_a_replacement_has_other_bits_and_begins_at_zero(run: Running) -> None:
    p = policy()
    first = run.switch.change([], [(p, 0, use(p))])
    call(5)
    second = run.switch.change(first, [(p, 1, use(p))])
    assert not set(first[0].bits) & set(second[0].bits)
    call(2)
    assert matched(run, second) == [[2]]


def test_a_bit_that_is_used_again_does_not_inherit_counts(run: Running) -> None:
    p, q = policy("p"), policy("q")
    run.switch.change([], [(p, 0, use(p))])
    first = run.switch.change([], [(q, 1, use(q))])
    call(5)
    run.switch.change(first, [])
    again = run.switch.change([], [(q, 1, use(q))])
    call(1)
    assert again[0].bits == first[0].bits
    assert matched(run, again) == [[1]]


def test_what_one_hook_refuses_is_taken_back_from_all(run: Running) -> None:
    p, bad = policy("p"), policy("refused")
    parts = run.switch.change([], [(p, 0, use(p, EXIT))])
    epoch = run.switch.epoch
    with pytest.raises(KernelRefused):
        run.switch.change(parts, [(p, 1, use(p, ENTER)), (bad, 2, use(bad, EXIT))])
    call(2)
    assert matched(run, parts) == [[2]]
    assert run.hooks.keys() == [EXIT]
    assert (run.switch.epoch, run.switch.parts()[0].until) == (epoch, FOREVER)
    assert {name for name, _, _ in run.compiler.released} == {"p", "refused"}


def test_after_a_refusal_the_next_change_is_as_if_it_had_not_been(run: Running) -> None:
    bad, p = policy("refused"), policy("p")
    with pytest.raises(KernelRefused):
        run.switch.change([], [(bad, 0, use(bad))])
    parts = run.switch.change([], [(p, 0, use(p))])
    call(1)
    assert matched(run, parts) == [[1]]


def generated(p: Policy, key: HookKey, function: str) -> HookUse:
    return replace(use(p, key), hook=replace(p.hooks[0], is_generated=True), function_name=function)


def test_what_takes_no_program_of_a_generated_list_is_passed_over(run: Running) -> None:
    p = policy()
    calls = [generated(p, ENTER, "here"), generated(p, NOWHERE, "nowhere")]
    parts = run.switch.change([], [(p, 0, each) for each in calls])
    call(2)
    assert matched(run, parts) == [[2]]
    assert run.hooks.keys() == [ENTER]
    (left_out,) = run.switch.passed_over
    assert left_out[0].use.function_name == "nowhere"
    assert "No such file" in left_out[1]
    run.switch.change(parts, [])
    assert not run.hooks.keys()


def test_a_call_whose_end_takes_no_program_is_not_watched_at_its_begin(run: Running) -> None:
    p = policy()
    calls = [generated(p, EXIT, "here"), generated(p, ENTER, "half"), generated(p, NOWHERE, "half")]
    parts = run.switch.change([], [(p, 0, each) for each in calls])
    assert [part.use.function_name for part in parts] == ["here"]
    assert run.hooks.keys() == [EXIT]
    assert len(run.switch.passed_over) == 2


def test_a_policy_of_which_nothing_is_left_is_refused(run: Running) -> None:
    p, q = policy("p"), policy("q")
    with pytest.raises(HookRefused):
        run.switch.change([], [(p, 0, generated(p, NOWHERE, "nowhere")), (q, 1, use(q))])
    with pytest.raises(HookRefused):
        run.switch.change([], [(p, 0, use(p, ENTER)), (p, 0, use(p, NOWHERE))])
    assert not run.hooks.keys()


def test_more_selectors_than_a_hook_holds_are_refused(run: Running) -> None:
    p, many = policy("p", selectors=200), policy("many", selectors=57)
    run.switch.change([], [(p, 0, use(p))])
    with pytest.raises(TracehoundError, match="57 selectors, and 56 are free"):
        run.switch.change([], [(many, 1, use(many))])


def test_records_of_both_numbers_are_known_when_values_move(run: Running) -> None:
    run.compiler.moving = True
    p, q = policy("p"), policy("q")
    (first,) = run.switch.change([], [(p, 0, use(p))])
    run.switch.change([], [(q, 1, use(q))])
    before, after = (run.book.describe(number, 0, first.since) for number in (1, 2))
    assert before and after
    assert (before.indexes, after.indexes) == ((1,), (2,))


def test_process_conditions_are_released_with_the_policy(run: Running) -> None:
    p = policy()
    parts = run.switch.change([], [(p, 3, use(p))])
    assert run.compiler.released == []
    run.switch.change(parts, [])
    assert run.compiler.released == [("p", 3, parts[0].since)]
    assert run.compiler.published == 3  # before it goes, and after: nobody asks any more
