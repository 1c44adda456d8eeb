# SPDX-License-Identifier: Apache-2.0
"""Integers: single values by hash map, ranges by elementary intervals, masks by bit.

A value in the kernel is 8 bytes: sign-extended from its size when it is signed. Ranges are ordered as
unsigned; a signed value has its sign bit flipped first.
"""

from __future__ import annotations

from collections import defaultdict

from agent.policy.contents import Contents
from agent.policy.groups import Group, members_of
from agent.policy.layout import INTEGER_KEY, MASK_BIT, RANGE, pack_set

WORD = (1 << 64) - 1
SIGN = 1 << 63

Interval = tuple[int, int]
"""Both ends belong to it; mathematical integers."""


def limits(size: int, is_signed: bool) -> Interval:
    """The least and the greatest integer of `size` bytes."""
    bits = 8 * size
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if is_signed else (0, (1 << bits) - 1)


def wrapped(number: int, size: int, is_signed: bool) -> int | None:
    """A number as an integer of that type: 0xffffffff is -1 for an int32, -1 is 0xffffffff for a uint32. None
    when it fits neither way."""
    bits = 8 * size
    if not -(1 << bits - 1) <= number < 1 << bits:
        return None
    number &= (1 << bits) - 1
    return number - (1 << bits) if is_signed and number >> bits - 1 else number


def compile_exact(group: Group, number: int, into: Contents) -> None:
    """integers[{filter, value}]."""
    hits: dict[int, int] = defaultdict(int)
    for at, constraint in enumerate(group.constraints):
        for low, _ in constraint.values:
            hits[low] |= 1 << at
    entries = into.maps["integers"]
    for value, hit in hits.items():
        entries[INTEGER_KEY.pack(number, 0, value & WORD)] = pack_set(group.satisfied(hit))
    into.table(number, group.otherwise)


def elementary(group: Group, order: int) -> list[tuple[int, int]]:
    """(low, hit) of the intervals between all ends, ascending from 0; `order` is added to make values
    unsigned."""
    opens: dict[int, list[int]] = defaultdict(list)
    closes: dict[int, list[int]] = defaultdict(list)
    for at, constraint in enumerate(group.constraints):
        for low, high in constraint.values:
            opens[low + order].append(at)
            closes[high + order + 1].append(at)
    depth = [0] * len(group.constraints)
    hit, found = 0, []
    for low in sorted({0, *opens, *closes}):
        for at in opens[low]:
            depth[at] += 1
        for at in closes[low]:
            depth[at] -= 1
        for at in {*opens[low], *closes[low]}:
            hit = hit | 1 << at if depth[at] else hit & ~(1 << at)
        if low <= WORD:
            found.append((low, hit))
    return found


def compile_range(group: Group, number: int, into: Contents) -> int:
    """ranges[start .. start + count); returns count. Neighbours with the same set are one."""
    rows: list[tuple[int, int]] = []
    for low, hit in elementary(group, SIGN if group.constraints[0].dimension.is_signed else 0):
        members = group.satisfied(hit)
        if not rows or rows[-1][1] != members:
            rows.append((low, members))
    start = into.append("ranges", [RANGE.pack(low, pack_set(members)) for low, members in rows])
    into.table(number, group.otherwise, start, len(rows))
    return len(rows)


def compile_mask(group: Group, number: int, into: Contents) -> None:
    """bits[start .. start + count): selectors that a bit satisfies, and those that it rules out."""
    satisfies: dict[int, int] = defaultdict(int)
    rules_out: dict[int, int] = defaultdict(int)
    for constraint in group.constraints:
        chosen = rules_out if constraint.negated else satisfies
        for mask in constraint.values:
            for bit in members_of(mask & WORD):
                chosen[bit] |= 1 << constraint.selector
    used = sorted({*satisfies, *rules_out})
    rows = [MASK_BIT.pack(bit, pack_set(satisfies[bit]), pack_set(rules_out[bit])) for bit in used]
    into.table(number, group.otherwise, into.append("bits", rows), len(rows))
