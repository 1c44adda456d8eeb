# SPDX-License-Identifier: Apache-2.0
"""Reject tables: which selectors can still match a path of which only some names' buckets are known, so that
most calls are decided without building the path.

A name is hashed into a bucket (agent/policy/buckets.py, as kprobes/include/values.h does it). A selector that
says nothing of a part of the path stays possible in all its buckets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from agent.policy import buckets
from agent.policy.groups import Constraint
from agent.policy.layout import EVERY, PATH_BUCKETS, PATH_TABLE_BYTES, Kind, PathAsks, pack_words
from agent.policy.values import Source, Value, ValueType

PATH_TYPES = {ValueType.FILE, ValueType.PATH, ValueType.DENTRY, ValueType.KIOCB, ValueType.BINPRM}


class Needs(NamedTuple):
    """Where a path must be for one value to hold; None: anywhere."""

    first: int | None = None
    second: int | None = None
    """At most one of first and second is told."""
    last: int | None = None
    end: int | None = None


class Possible(NamedTuple):
    """Buckets in which some value of a constraint can hold; None: in all."""

    top: tuple[frozenset[int], frozenset[int]] | None
    """By first, by second."""
    last: frozenset[int] | None
    end: frozenset[int] | None


def is_rejectable(value: Value) -> bool:
    """Whether the kernel finds the value's dentry without reading through its steps."""
    return value.type in PATH_TYPES and value.source is Source.ARGUMENT and not value.steps


def needs_of_equal(text: bytes) -> Needs:
    """A whole path. A second name that there is not is empty, and so is the root's only one."""
    names = text.split(b"/")[1:]
    if text == b"/":
        return Needs(second=buckets.second(b"", b""))
    if not text.startswith(b"/") or not all(names):
        return Needs()
    top = buckets.second(names[0], names[1] if len(names) > 1 else b"")
    return Needs(second=top, last=buckets.last(names[-1]), end=buckets.end(text[-2:]))


def needs_of_prefix(text: bytes) -> Needs:
    """The last name may go on: only those before it are known whole."""
    names = text.split(b"/")[1:-1]
    if not text.startswith(b"/") or not names or not all(names[:2]):
        return Needs()
    return (
        Needs(second=buckets.second(*names[:2])) if len(names) > 1 else Needs(first=buckets.first(names[0]))
    )


def needs_of_postfix(text: bytes) -> Needs:
    """With a slash the last name is known whole, else perhaps the last two bytes."""
    _, slash, name = text.rpartition(b"/")
    last = buckets.last(name) if slash and name else None
    return Needs(last=last, end=buckets.end(text[-2:]) if name and len(text) > 1 else None)


NEEDS = {Kind.EQUAL: needs_of_equal, Kind.PREFIX: needs_of_prefix, Kind.POSTFIX: needs_of_postfix}


def union(buckets: Sequence[int | None]) -> frozenset[int] | None:
    """All of them, unless one may be anywhere."""
    known = [bucket for bucket in buckets if bucket is not None]
    return frozenset(known) if len(known) == len(buckets) else None


def possible_of(constraint: Constraint) -> Possible:
    """What a constraint leaves possible. A negated one rules out nothing here."""
    read = NEEDS.get(constraint.dimension.kind)
    if constraint.negated or read is None:
        return Possible(None, None, None)
    needs = [read(text) for text in constraint.values]
    top = None
    if all(need.first is not None or need.second is not None for need in needs):
        top = (
            frozenset(need.first for need in needs if need.first is not None),
            frozenset(need.second for need in needs if need.second is not None),
        )
    return Possible(top, union([need.last for need in needs]), union([need.end for need in needs]))


def both(one: frozenset[int] | None, other: frozenset[int] | None) -> frozenset[int] | None:
    """Possible by both."""
    if one is None or other is None:
        return other if one is None else one
    return one & other


def narrowed(one: Possible, other: Possible) -> Possible:
    """Possible by both; of the tops, the one that leaves less."""
    tops = [possible.top for possible in (one, other) if possible.top is not None]
    top = min(tops, key=lambda top: len(top[0]) + len(top[1])) if tops else None
    return Possible(top, both(one.last, other.last), both(one.end, other.end))


class PathTable:
    """struct path_table for one value."""

    def __init__(self, constraints: Sequence[Constraint]) -> None:
        by_selector: dict[int, Possible] = {}
        for constraint in constraints:
            possible = possible_of(constraint)
            before = by_selector.get(constraint.selector)
            by_selector[constraint.selector] = narrowed(before, possible) if before else possible
        self._first = self._part({s: p.top[0] if p.top else None for s, p in by_selector.items()})
        self._second = self._part({s: p.top[1] if p.top else None for s, p in by_selector.items()}, 0)
        self._last = self._part({s: p.last for s, p in by_selector.items()})
        self._end = self._part({s: p.end for s, p in by_selector.items()})
        self.asks = PathAsks(0)
        for possible in by_selector.values():
            self.asks |= PathAsks.FIRST if possible.top else PathAsks(0)
            self.asks |= PathAsks.LAST if possible.last is not None else PathAsks(0)
            self.asks |= PathAsks.END if possible.end is not None else PathAsks(0)

    @staticmethod
    def _part(possible: dict[int, frozenset[int] | None], base: int = EVERY) -> list[int]:
        for selector, where in possible.items():
            if where is not None:
                base &= ~(1 << selector)
        sets = [base] * PATH_BUCKETS
        for selector, where in possible.items():
            for bucket in where or ():
                sets[bucket] |= 1 << selector
        return sets

    def pack(self) -> bytes:
        """Its bytes."""
        parts = (self._first, self._second, self._last, self._end)
        by_word = zip(*(pack_words(part) for part in parts), strict=True)
        return b"".join(b"".join(word) for word in by_word)


NO_TABLE = bytes(PATH_TABLE_BYTES)
