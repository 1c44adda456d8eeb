# SPDX-License-Identifier: Apache-2.0
"""Which selectors a content satisfies, whatever the dimension."""

from agent.policy.groups import Constraint, Dimension, Group, members_of
from agent.policy.layout import EVERY, Field, Kind

WHERE = Dimension(True, Kind.EQUAL, Field.TEXT, 0)


def asking(selector: int, negated: bool = False) -> Constraint:
    return Constraint(WHERE, selector, negated, (b"x",))


def test_selectors_that_do_not_ask_are_always_satisfied() -> None:
    group = Group([asking(3)])
    assert group.otherwise == EVERY & ~(1 << 3)
    assert group.satisfied(1) == EVERY


def test_a_negated_constraint_is_met_until_a_value_holds() -> None:
    group = Group([asking(3, negated=True)])
    assert group.otherwise == EVERY
    assert group.satisfied(1) == EVERY & ~(1 << 3)
    assert group.silent == EVERY & ~(1 << 3)


def test_all_constraints_of_a_selector_must_be_met() -> None:
    group = Group([asking(0), asking(0), asking(0, negated=True)])
    met = [hit for hit in range(8) if group.satisfied(hit) & 1]
    assert met == [0b011]


def test_members_are_told_lowest_first() -> None:
    assert members_of(1 << 200 | 0b101) == [0, 2, 200]
