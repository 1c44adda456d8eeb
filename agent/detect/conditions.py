# SPDX-License-Identifier: Apache-2.0
"""A rule's condition as data: checks of fields, joined by and, or, not.

It has no more forms than what Sigma's modifiers come down to; what can be folded once (case, numbers,
base64, windash) is folded when the rule is read. Values of fields are texts (agent/detect/views.py), so every
check is one of a text, and a field that has several values passes when one of them does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

STAR, ANY = 0, 1
"""In the value of `glob`: any characters, and exactly one."""

Piece = str | int
Value = str | int | float | bool | tuple[Piece, ...]


class Check(NamedTuple):
    """A question to one field. Equal checks of different rules are asked once."""

    field: str
    """As the view calls it; empty: the whole event (Sigma's keywords)."""
    op: str
    """`equals`, `contains`, `startswith`, `endswith`: text, folded (`str.casefold`) unless `cased`.
    `glob`: pieces of text, STAR and ANY; folded likewise.
    `re`: a pattern for RE2, flags inside, that is searched for; case counts.
    `cidr`: a network. `lt`, `lte`, `gt`, `gte`: a number.
    `null`: the field is absent. `exists`: bool.
    `ref`, `refstart`, `refend`, `refin`: is, begins, ends with, contains another field's value; folded
    unless `cased`.
    `minute`, `hour`, `day`, `week`, `month`, `year`: that part of a time (UTC) is this number, or
    compares to it: `("gte", 22)`."""
    value: Value
    cased: bool = False
    """Whether case counts; of the four texts, `glob` and references only."""
    written: Value | None = None
    """The value as the rule has it, where it was folded to something else: policies of the kernel compare
    with case (agent/detect/suggestions.py)."""


@dataclass(frozen=True, slots=True)
class Match:
    """A check and where it stands in the rule."""

    check: Check
    selection: str
    """Name of the search identifier below `detection`."""
    key: str
    """Field and modifiers as they are written there: `Image|endswith`."""


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: Node


Node = Match | And | Or | Not


def checks_of(node: Node) -> Iterator[Match]:
    """All checks of a condition, in the order of the rule."""
    stack = [node]
    while stack:
        top = stack.pop()
        if isinstance(top, Match):
            yield top
        elif isinstance(top, Not):
            stack.append(top.part)
        else:
            stack.extend(reversed(top.parts))


def fields_of(node: Node) -> frozenset[str]:
    """Names of the fields that a condition asks; the empty one stands for the whole event."""
    found = set()
    for match in checks_of(node):
        found.add(match.check.field)
        if match.check.op.startswith("ref"):
            found.add(str(match.check.value))
    return frozenset(found)
