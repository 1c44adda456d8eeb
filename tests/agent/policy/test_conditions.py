# SPDX-License-Identifier: Apache-2.0
"""Filters of a selector as constraints."""

from __future__ import annotations

import pytest

from agent.policy.conditions import Conditions, KernelFacts, Wrong, is_early
from agent.policy.deeds import Phase
from agent.policy.groups import Constraint
from agent.policy.layout import NO_VALUE, Field, Kind
from agent.policy.model import (
    ArgumentFilter,
    CapabilityFilter,
    CredentialFilter,
    NamespaceFilter,
    PidFilter,
    Selector,
)
from agent.policy.operators import Wanted
from agent.policy.values import Source, Step, Value
from tests.agent.policy.placing import INT, PATH, asks, use


def constraints(selector: Selector, phase: Phase = Phase.WHOLE) -> list[Constraint]:
    wanted = use(selector)
    positions = {value: at + 4 for at, value in enumerate(wanted.values)}
    return list(
        Conditions(wanted, 0, positions, KernelFacts(host_namespaces={"mnt": 55}), phase).of(selector)
    )


def told(selector: Selector) -> list[tuple[object, ...]]:
    return [
        (c.dimension.kind, c.dimension.field, c.dimension.other, c.negated, c.values)
        for c in constraints(selector)
    ]


def test_a_filter_names_the_value_at_its_place_in_the_hook() -> None:
    (found,) = constraints(asks(1, "NotEqual", "7"))
    assert (found.dimension.value, found.dimension.is_late, found.negated) == (5, False, True)


def test_pids_that_are_not_followed_are_judged_by_the_hook() -> None:
    followed = PidFilter(True, (1,), follow_forks=True)
    selector = Selector(pids=(PidFilter(False, (5,)), followed))
    assert told(selector) == [(Kind.EXACT, Field.TGID, NO_VALUE, True, ((5, 5),))]


def test_pid_0_of_an_own_namespace_never_holds() -> None:
    selector = Selector(
        pids=(PidFilter(True, (0, 5), in_namespace=True), PidFilter(False, (5,), in_namespace=True))
    )
    assert [values for *_, values in told(selector)] == [((5, 5),), ((0, 0), (5, 5))]


def test_the_hosts_namespace_is_its_number() -> None:
    selector = Selector(namespaces=(NamespaceFilter(("mnt",), True, ("host_ns", "7")),))
    assert told(selector) == [(Kind.EXACT, Field.NAMESPACE, 2, False, ((55, 55), (7, 7)))]


def test_an_unknown_host_namespace_is_refused() -> None:
    with pytest.raises(Wrong, match="the host's net namespace is not known here"):
        constraints(Selector(namespaces=(NamespaceFilter(("net",), True, ("host_ns",)),)))


def test_any_of_several_changes_is_one_mask() -> None:
    selector = Selector(namespace_changes=(NamespaceFilter(("uts", "mnt"), True),))
    assert told(selector) == [(Kind.MASK, Field.NAMESPACE_CHANGED, NO_VALUE, False, (0b101,))]


@pytest.mark.parametrize(("in_namespace", "other"), [(False, 1), (True, 0)])
def test_capabilities_count_in_the_hosts_user_namespace_unless_told(in_namespace: bool, other: int) -> None:
    selector = Selector(capabilities=(CapabilityFilter("effective", False, 4, in_namespace),))
    assert told(selector) == [(Kind.MASK, Field.CAP_EFFECTIVE, other, True, (4,))]


def test_changed_capabilities_have_their_field() -> None:
    selector = Selector(capability_changes=(CapabilityFilter("permitted", True, 4),))
    assert told(selector)[0][1] == Field.CAP_PERMITTED_CHANGED


def test_ids_are_looked_up_or_searched() -> None:
    selector = Selector(credentials=(CredentialFilter("uid", True, ((0, 0), (5, 9))),))
    assert told(selector) == [(Kind.RANGE, Field.UID, NO_VALUE, False, ((0, 0), (5, 9)))]


def test_a_second_mask_that_must_hold_is_a_filter_of_its_own() -> None:
    masks = tuple(ArgumentFilter(1, operator, ("1",)) for operator in ("Mask", "Mask", "NotMask"))
    assert [each.dimension.layer for each in constraints(Selector(arguments=masks))] == [0, 1, 0]


def test_return_values_are_not_judged_at_entry() -> None:
    selector = Selector(return_arguments=(ArgumentFilter(0, "Equal", ("1",)),))
    assert constraints(selector, Phase.ENTRY) == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (INT, True),
        (INT._replace(steps=(Step(0, True),)), False),
        (INT._replace(source=Source.FIELD, steps=(Step(16, False),)), True),
        (INT._replace(source=Source.TASK), False),
        (PATH, False),
    ],
)
def test_an_integer_is_early_where_no_pointer_is_followed(value: Value, expected: bool) -> None:
    field = Field.FILE_TYPE if value == PATH else Field.INTEGER
    assert is_early(value, Wanted(Kind.EXACT, field, ())) is expected
