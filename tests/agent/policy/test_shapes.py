# SPDX-License-Identifier: Apache-2.0
"""Values in the shape of a hook."""

from __future__ import annotations

import pytest

from agent.policy.contents import PolicyRefused
from agent.policy.layout import NO_VALUE, STEP, VALUE, VALUE_HEAD
from agent.policy.model import Hook
from agent.policy.shapes import order_of, pack_value, union_of_values
from agent.policy.values import HookKey, HookUse, Source, Step, Value, ValueFlag, ValueType

LENGTH = Value(Source.ARGUMENT, ValueType.INTEGER, 2)
BUFFER = Value(Source.ARGUMENT, ValueType.BUFFER, 1, flags=ValueFlag.USER, length_of=LENGTH)


def use(*values: Value, name: str = "p") -> HookUse:
    return HookUse(HookKey("fentry", "f"), name, Hook("kprobe", "f"), 0, values, (), "f")


def test_the_length_of_a_buffer_is_a_value_too() -> None:
    assert union_of_values([use(BUFFER)], 16) == sorted([BUFFER, LENGTH], key=order_of)


def test_the_order_does_not_depend_on_who_came_first() -> None:
    task = Value(Source.TASK, ValueType.INTEGER, steps=(Step(8, True),))
    assert union_of_values([use(task), use(BUFFER)], 16) == union_of_values([use(BUFFER, task)], 16)


def test_values_beyond_the_bound_are_refused_by_policy() -> None:
    uses = [use(BUFFER), use(Value(Source.RETURN, ValueType.INTEGER), name="greedy")]
    with pytest.raises(PolicyRefused, match="policy greedy: f would read 3 values, not 2"):
        union_of_values(uses, 2)


def test_a_value_is_packed_with_its_steps() -> None:
    value = BUFFER._replace(steps=(Step(16, True), Step(4, False)), max_bytes=99)
    packed = pack_value(value, {LENGTH: 5})
    assert VALUE_HEAD.unpack_from(packed) == (1, 3, 1, 2, 8, 5, 1, 0, 99, 0)
    assert [STEP.unpack_from(packed, VALUE_HEAD.size + 8 * at) for at in (0, 1)] == [(16, 1), (4, 0)]
    assert len(packed) == VALUE.size


def test_a_value_without_length_says_so() -> None:
    assert VALUE_HEAD.unpack_from(pack_value(LENGTH, {}))[5] == NO_VALUE
