# SPDX-License-Identifier: Apache-2.0
"""Filters of a hook, and their bounds."""

from __future__ import annotations

import pytest

from agent.policy.contents import Contents, PolicyRefused
from agent.policy.dimensions import EARLY_MOST, Filters
from agent.policy.groups import Constraint, Dimension
from agent.policy.layout import HOOK_FILTERS, INDEX, RANGES_MOST, Field, Kind, index_key
from agent.policy.model import Where
from agent.policy.operators import Pattern
from agent.policy.values import Source, Value, ValueType

PATH = Value(Source.ARGUMENT, ValueType.FILE)
INT = Value(Source.ARGUMENT, ValueType.INTEGER, 1)
LINE = Where("p.yaml", 7, "spec")


def constraint(
    kind: Kind, field: Field, values: tuple[object, ...], value: int = 0, late: bool = True
) -> Constraint:
    return Constraint(Dimension(late, kind, field, value), 0, False, values, "p", LINE)


def test_early_filters_stand_first_and_are_few() -> None:
    many = [constraint(Kind.EXACT, Field.INTEGER, ((1, 1),), at, late=False) for at in range(6)]
    text = constraint(Kind.EQUAL, Field.TEXT, (b"/a",))
    shapes = Filters([text, *many], [PATH] + [INT] * 5, False).shapes()
    assert [shape.is_early for shape in shapes] == [True] * EARLY_MOST + [False] * 3
    assert shapes[-1].kind == Kind.EQUAL


def test_one_filter_too_many_is_refused_in_its_own_name() -> None:
    many = [constraint(Kind.EXACT, Field.SPORT, ((1, 1),), at) for at in range(HOOK_FILTERS + 1)]
    with pytest.raises(PolicyRefused, match=r"p\.yaml:7: policy p: this is a filter more than the 24"):
        Filters(many, [], False)


def test_patterns_on_two_values_start_in_different_states() -> None:
    two = [constraint(Kind.AUTOMATON, Field.TEXT, (Pattern("SubString", "x"),), at) for at in (0, 1)]
    contents = Contents()
    Filters(two, [PATH, PATH], False).compile(contents)
    assert [int.from_bytes(table[:4], "little") for table in contents.filter_tables[:2]] == [0, 2]
    assert len(contents.maps["automaton_sets"]) == 4


def test_a_pattern_that_is_not_understood_is_named() -> None:
    wrong = constraint(Kind.AUTOMATON, Field.TEXT, (Pattern("Regex", "(a"),))
    with pytest.raises(PolicyRefused, match=r"policy p: a `\)` is missing"):
        Filters([wrong], [PATH], False).compile(Contents())


def test_an_automaton_fills_its_maps() -> None:
    contents = Contents()
    filters = Filters([constraint(Kind.AUTOMATON, Field.TEXT, (Pattern("SubString", "ab"),))], [PATH], False)
    filters.compile(contents)
    states = len(contents.maps["automaton_sets"])
    assert (states, filters.automaton_classes) == (3, 3)
    assert len(contents.maps["automaton_next"]) == 9
    assert INDEX.unpack(contents.maps["automaton_bytes"][index_key(ord("b"))]) < (3,)


def test_more_intervals_than_the_kernel_searches_are_refused() -> None:
    ranges = tuple((4 * n, 4 * n + 1) for n in range(RANGES_MOST // 2 + 1))
    with pytest.raises(PolicyRefused, match="more than 4095 intervals"):
        Filters([constraint(Kind.RANGE, Field.INTEGER, ranges)], [INT], False).compile(Contents())


def test_paths_are_rejected_where_the_call_has_them_at_once() -> None:
    asked = [constraint(Kind.EQUAL, Field.TEXT, (b"/a/b",), at) for at in (0, 1)]
    values = [PATH, PATH._replace(source=Source.TASK)]
    assert [position for position, _ in Filters(asked, values, False).tables] == [0]
    assert Filters(asked, values, True).tables == []
