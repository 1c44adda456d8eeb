# SPDX-License-Identifier: Apache-2.0
"""Integers by value, by range and by bit."""

import pytest

from agent.policy.contents import Contents
from agent.policy.groups import Constraint, Dimension, Group
from agent.policy.integers import SIGN, compile_exact, compile_mask, compile_range, limits, wrapped
from agent.policy.layout import EVERY, INTEGER_KEY, MASK_BIT, RANGE, Field, Kind, unpack_set


def group_of(kind: Kind, *values: tuple[object, ...], is_signed: bool = True) -> Group:
    dimension = Dimension(False, kind, Field.INTEGER, 0, is_signed=is_signed)
    return Group([Constraint(dimension, at, False, each) for at, each in enumerate(values)])


@pytest.mark.parametrize(
    ("number", "size", "is_signed", "expected"),
    [(0xFFFFFFFF, 4, True, -1), (-1, 4, False, 0xFFFFFFFF), (5, 1, True, 5), (256, 1, False, None)],
)
def test_a_number_is_taken_as_its_type_holds_it(
    number: int, size: int, is_signed: bool, expected: int | None
) -> None:
    assert wrapped(number, size, is_signed) == expected


def test_a_type_has_its_limits() -> None:
    assert limits(2, True) == (-32768, 32767)
    assert limits(8, False) == (0, 2**64 - 1)


def test_a_negative_value_is_looked_up_sign_extended() -> None:
    contents = Contents()
    compile_exact(group_of(Kind.EXACT, ((-1, -1),)), 2, contents)
    assert set(contents.maps["integers"]) == {INTEGER_KEY.pack(2, 0, 2**64 - 1)}


def test_ranges_become_intervals_that_begin_at_the_least_value() -> None:
    contents = Contents()
    count = compile_range(group_of(Kind.RANGE, ((-5, 5),), ((0, 10), (3, 7))), 0, contents)
    rows = [RANGE.unpack(row) for row in contents.maps["ranges"].values()]
    assert [low - SIGN if low else None for low, _ in rows] == [None, -5, 0, 6, 11]
    assert [unpack_set(members) & 3 for _, members in rows] == [0, 1, 3, 2, 0]
    assert count == 5


def test_intervals_with_the_same_set_are_one() -> None:
    contents = Contents()
    assert compile_range(group_of(Kind.RANGE, ((1, 5), (6, 9)), is_signed=False), 0, contents) == 3


def test_the_greatest_value_closes_no_interval() -> None:
    contents = Contents()
    assert compile_range(group_of(Kind.RANGE, ((5, 2**64 - 1),), is_signed=False), 0, contents) == 2


def test_a_mask_has_an_entry_for_each_of_its_bits() -> None:
    contents = Contents()
    compile_mask(group_of(Kind.MASK, (0b110, 1 << 63)), 0, contents)
    rows = [MASK_BIT.unpack(row) for row in contents.maps["bits"].values()]
    assert [(bit, unpack_set(adds), unpack_set(removes)) for bit, adds, removes in rows] == [
        (1, 1, 0),
        (2, 1, 0),
        (63, 1, 0),
    ]


def test_a_mask_that_must_not_hold_rules_out() -> None:
    contents = Contents()
    dimension = Dimension(True, Kind.MASK, Field.CAP_EFFECTIVE)
    compile_mask(group := Group([Constraint(dimension, 4, True, (1,))]), 0, contents)
    assert unpack_set(MASK_BIT.unpack(contents.maps["bits"][bytes(4)])[2]) == 1 << 4
    assert group.otherwise == EVERY
