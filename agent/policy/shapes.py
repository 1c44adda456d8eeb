# SPDX-License-Identifier: Apache-2.0
"""struct shape: the constants of a hook's program."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from agent.policy.contents import PolicyRefused
from agent.policy.layout import (
    FILTER,
    HOOK_FILTERS,
    HOOK_VALUES,
    NO_VALUE,
    PATH_TABLES,
    RESOLVE_STEPS,
    SHAPE_BYTES,
    SHAPE_HEAD,
    SHAPE_TAIL,
    STEP,
    VALUE,
    VALUE_HEAD,
    HookFlag,
    padded,
)
from agent.policy.model import Problem
from agent.policy.values import HookUse, Value

if TYPE_CHECKING:
    from agent.policy.conditions import KernelFacts
    from agent.policy.dimensions import Filters


def order_of(value: Value) -> tuple[Any, ...]:
    """Sorts values whichever policy brought them."""
    length = () if value.length_of is None else order_of(value.length_of)
    return (*value[:7], length)


def with_lengths(values: Iterable[Value]) -> list[Value]:
    """The values and those that hold their lengths."""
    found: list[Value] = []
    for value in values:
        found += [value, *with_lengths([value.length_of] if value.length_of else [])]
    return found


def union_of_values(uses: Sequence[HookUse], most: int) -> list[Value]:
    """The values of all uses, each once, in canonical order. PolicyRefused names who brings one too many."""
    known: set[Value] = set()
    problems = []
    for use in uses:
        known.update(with_lengths(use.values))
        if len(known) > most:
            problems.append(
                Problem(
                    use.hook.where,
                    f"policy {use.policy}: {use.function_name} would read {len(known)} values, not {most}",
                    "arguments that several policies read in the same way count once",
                )
            )
    if problems:
        raise PolicyRefused(problems)
    return sorted(known, key=order_of)


def pack_value(value: Value, positions: dict[Value, int]) -> bytes:
    """struct value_shape."""
    length = NO_VALUE if value.length_of is None else positions[value.length_of]
    if len(value.steps) > RESOLVE_STEPS:
        raise ValueError(f"{len(value.steps)} steps to a value; {RESOLVE_STEPS} at most")
    head = VALUE_HEAD.pack(
        value.source,
        value.type,
        value.index,
        len(value.steps),
        value.size,
        length,
        value.flags,
        0,
        value.max_bytes,
        0,
    )
    return padded([head, *(STEP.pack(step.offset, step.dereference) for step in value.steps)], VALUE.size)


def pack_shape(
    number: int, flags: HookFlag, words: int, values: Sequence[Value], filters: Filters, facts: KernelFacts
) -> bytes:
    """struct shape."""
    shapes = filters.shapes()
    counts = (len(values), len(shapes), filters.early, filters.automaton_classes)
    head = SHAPE_HEAD.pack(
        number, flags, words, *counts, facts.has_atomics, facts.has_cast, *path_parts(filters)
    )
    positions = {value: at for at, value in enumerate(values)}
    of_values = padded((pack_value(value, positions) for value in values), VALUE.size * HOOK_VALUES)
    of_filters = padded((FILTER.pack(*each) for each in shapes), FILTER.size * HOOK_FILTERS)
    tail = SHAPE_TAIL.pack(unused(value.type for value in values), unused(each.field for each in shapes))
    return padded([head, of_values, of_filters, tail], SHAPE_BYTES)


def unused(numbers: Iterable[int]) -> int:
    """Bits of all numbers but these."""
    return ~sum(1 << number for number in set(numbers)) & (1 << 32) - 1


def path_parts(filters: Filters) -> list[int]:
    """shape.path_value, then shape.path_asks."""
    missing = PATH_TABLES - len(filters.tables)
    values = [position for position, _ in filters.tables] + [NO_VALUE] * missing
    return values + [int(table.asks) for _, table in filters.tables] + [0] * missing
