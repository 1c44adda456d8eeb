# SPDX-License-Identifier: Apache-2.0
"""What selectors ask of one dimension, and the set of selectors that a content of it satisfies.

A *dimension* is one filter of a hook. A *constraint* is what one selector asks of it: that one of its values
holds, or (negated) that none does. A selector may have several constraints on a dimension: all must be met.
What holds of a content is its *hit*: an integer whose bit n says that some value of constraint n holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from agent.policy.layout import EVERY, NO_VALUE, Field, Kind
from agent.policy.model import Where

NOWHERE = Where("", 0, "")


class Dimension(NamedTuple):
    """Identity of a filter, in the order in which filters of a hook are judged."""

    is_late: bool
    """False: an integer of the call's arguments, judged before everything else."""
    kind: Kind
    field: Field
    value: int = NO_VALUE
    """Position in the hook's values; NO_VALUE: of the process."""
    other: int = NO_VALUE
    layer: int = 0
    """Masks: a selector's second positive mask on the same value is a filter of its own."""
    is_signed: bool = False


class Constraint(NamedTuple):
    """What one selector asks of a dimension."""

    dimension: Dimension
    selector: int
    """Its bit."""
    negated: bool
    values: tuple[Any, ...]
    """Alternatives, as the kind takes them: intervals, masks, networks, texts, patterns."""
    policy: str = ""
    where: Where = NOWHERE


class Group:
    """All constraints on one dimension."""

    def __init__(self, constraints: Sequence[Constraint]) -> None:
        self.constraints = tuple(constraints)
        self._memo: dict[int, int] = {}
        self._positive: dict[int, int] = {}
        self._negative: dict[int, int] = {}
        for number, constraint in enumerate(self.constraints):
            wants = self._negative if constraint.negated else self._positive
            wants[constraint.selector] = wants.get(constraint.selector, 0) | 1 << number
        self._base = EVERY
        for selector in self._positive:
            self._base &= ~(1 << selector)

    @property
    def otherwise(self) -> int:
        """Satisfied when no value of any constraint holds."""
        return self._base

    @property
    def silent(self) -> int:
        """Selectors that do not ask."""
        return self._base & ~sum(1 << selector for selector in self._negative)

    def satisfied(self, hit: int) -> int:
        """The selectors that a content with this hit satisfies, those that do not ask included."""
        found = self._memo.get(hit)
        if found is None:
            found = self._memo[hit] = self._judge(hit)
        return found

    def _judge(self, hit: int) -> int:
        members = self._base
        for number in members_of(hit):
            selector = self.constraints[number].selector
            wanted = self._positive.get(selector, 0)
            if hit & wanted == wanted and not hit & self._negative.get(selector, 0):
                members |= 1 << selector
            else:
                members &= ~(1 << selector)
        return members


def members_of(members: int) -> list[int]:
    """Numbers of the bits that are set, lowest first."""
    found = []
    while members:
        lowest = members & -members
        found.append(lowest.bit_length() - 1)
        members ^= lowest
    return found
