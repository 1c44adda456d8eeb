# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.overload import (
    SHED_BULK,
    SHED_EXIT,
    SHED_EXIT_DETAIL,
    SHED_NOTHING,
    STEP_NAMES,
    Change,
    Overload,
)
from agent.settings import OverloadSettings

WIRE = Path(__file__).resolve().parents[2] / "kprobes" / "include" / "wire.h"


@pytest.fixture
def overload() -> Overload:
    return Overload(OverloadSettings())


def observed(overload: Overload, fill: float, now_s: float) -> list[Change]:
    """All steps of one look, as the daemon takes them."""
    changes = []
    while change := overload.observe(fill, now_s):
        changes.append(change)
    return changes


def test_steps_are_those_of_the_kernel_side() -> None:
    listed = re.search(r"enum shed_step \{(.*?)\}", WIRE.read_text(), re.DOTALL)
    assert listed is not None
    assert [name.lower() for name in re.findall(r"SHED_(\w+)", listed[1])] == list(STEP_NAMES)


@pytest.mark.parametrize(
    ("fill", "step"),
    [(0, 0), (0.25, 0), (0.26, 1), (0.50, 1), (0.51, 2), (0.75, 2), (0.76, 3), (1.0, 3)],
)
def test_each_fill_has_its_step(overload: Overload, fill: float, step: int) -> None:
    observed(overload, fill, 0)
    assert overload.step == step


def test_steps_are_taken_in_order_bulk_first_exits_last(overload: Overload) -> None:
    changes = observed(overload, 0.9, 0)
    assert [(change.from_step, change.step) for change in changes] == [
        (SHED_NOTHING, SHED_BULK),
        (SHED_BULK, SHED_EXIT_DETAIL),
        (SHED_EXIT_DETAIL, SHED_EXIT),
    ]
    assert changes[0].reason == "ring 90% full"


def test_a_step_is_kept_while_the_fill_is_between(overload: Overload) -> None:
    observed(overload, 0.6, 0)
    assert [observed(overload, 0.2, now) for now in range(1, 100)] == [[]] * 99
    assert overload.step == SHED_EXIT_DETAIL


def test_steps_are_taken_back_one_by_one_after_calm(overload: Overload) -> None:
    observed(overload, 0.9, 0)
    steps = []
    for tenth in range(100):
        observed(overload, 0.05, 1 + tenth / 10)
        steps.append(overload.step)
    assert [steps.index(step) for step in (3, 2, 1, 0)] == [0, 20, 40, 60]


def test_calm_that_is_broken_begins_anew(overload: Overload) -> None:
    observed(overload, 0.3, 0)
    for now, fill in ((1.0, 0.01), (2.9, 0.01), (2.95, 0.2), (3.5, 0.01), (5.4, 0.01)):
        assert observed(overload, fill, now) == []
    assert [change.step for change in observed(overload, 0.01, 5.6)] == [SHED_NOTHING]


def test_calm_from_before_a_step_does_not_count(overload: Overload) -> None:
    observed(overload, 0.3, 0)
    observed(overload, 0.01, 1)
    observed(overload, 0.6, 2.5)
    assert observed(overload, 0.01, 3.1) == []


def test_the_reason_names_the_calm(overload: Overload) -> None:
    observed(overload, 0.3, 0)
    observed(overload, 0, 1)
    assert observed(overload, 0, 3)[0].reason == "ring below 10% for 2 s"


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 3)), max_size=200))
def test_whatever_comes_steps_go_one_at_a_time_within_bounds(looks: list[tuple[float, float]]) -> None:
    overload, now = Overload(OverloadSettings()), 0.0
    for fill, passed in looks:
        now += passed
        for change in observed(overload, fill, now):
            assert abs(change.step - change.from_step) == 1
        assert SHED_NOTHING <= overload.step <= SHED_EXIT
        assert overload.step >= sum(fill > most for most in (0.25, 0.5, 0.75))
