# SPDX-License-Identifier: Apache-2.0
"""What process classes ask of executables' paths, as the maps of kprobes/include/classes.h: one entry tells
what a path means for the process and for its children."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from enum import IntFlag
from typing import NamedTuple

from agent.policy.groups import Constraint, Dimension, Group
from agent.policy.layout import POSTFIX_BYTES, Field, Kind, pack_set
from agent.policy.model import BinaryFilter
from agent.policy.texts import hits_of, nodes

FOLLOWED_MOST = 128
TEXT_CLASSES = (120, 504)
PREFIX_BYTES = 252
TEXT_KEYS = {size: struct.Struct(f"<2I{size}s") for size in TEXT_CLASSES}
PREFIX_KEY = struct.Struct(f"<I{PREFIX_BYTES}s")
POSTFIX_KEY = struct.Struct(f"<I{POSTFIX_BYTES}s")


class Uses(IntFlag):
    """enum class_uses."""

    EQUAL = 1
    PREFIX = 2
    POSTFIX = 4
    PARENT = 8
    FOLLOWED_PIDS = 16
    WORKLOADS = 32
    EXEC_STATE = 64


class Look(NamedTuple):
    """One way in which paths are looked at."""

    operator: str
    kind: Kind
    uses: Uses
    most: int
    """Bytes of the longest value."""


LOOKS = (
    Look("In", Kind.EQUAL, Uses.EQUAL, TEXT_CLASSES[-1]),
    Look("Prefix", Kind.PREFIX, Uses.PREFIX, PREFIX_BYTES),
    Look("Postfix", Kind.POSTFIX, Uses.POSTFIX, POSTFIX_BYTES),
)


class Looked:
    """All that classes ask of paths in one way."""

    def __init__(
        self,
        look: Look,
        own: Sequence[tuple[BinaryFilter, int]],
        parent: Sequence[tuple[BinaryFilter, int]],
        followed: Sequence[tuple[tuple[str, ...], int]],
    ) -> None:
        """Filters on the own and on the parent's binary with their classes; binaries that are followed, with
        their condition's number: only equal paths are."""
        self.look = look
        self._own = Group(self._constraints(own))
        self._parent = Group(self._constraints(parent))
        self._followed = [
            Constraint(self._dimension, number, False, tuple(map(encode, values)))
            for values, number in followed
            if values and look.kind is Kind.EQUAL
        ]
        self.otherwise = class_sets(self._own.otherwise, self._parent.otherwise, 0)

    @property
    def _dimension(self) -> Dimension:
        return Dimension(True, self.look.kind, Field.TEXT)

    def _constraints(self, filters: Sequence[tuple[BinaryFilter, int]]) -> list[Constraint]:
        return [
            Constraint(self._dimension, number, operator_of(each)[1], tuple(map(encode, each.values)))
            for each, number in filters
            if operator_of(each)[0] == self.look.operator and not each.follow_children
        ]

    @property
    def is_asked(self) -> bool:
        """Whether anybody looks in this way."""
        return bool(self._own.constraints or self._parent.constraints or self._followed)

    def entries(self) -> Iterator[tuple[str, bytes, bytes]]:
        """Map, key and struct class_sets of each text."""
        own, parent = self._own.constraints, self._parent.constraints
        hits = hits_of(Group([*own, *parent, *self._followed]))
        for name, key, hit in keys_of(self.look.kind, hits):
            of_own = self._own.satisfied(hit & (1 << len(own)) - 1)
            hit >>= len(own)
            of_parent = self._parent.satisfied(hit & (1 << len(parent)) - 1)
            hit >>= len(parent)
            met = sum(1 << each.selector for at, each in enumerate(self._followed) if hit >> at & 1)
            yield name, key, class_sets(of_own, of_parent, met)


def operator_of(each: BinaryFilter) -> tuple[str, bool]:
    """In, Prefix or Postfix, and whether it is negated."""
    return each.operator.removeprefix("Not"), each.operator.startswith("Not")


def class_sets(own: int, parent: int, followed: int) -> bytes:
    """struct class_sets."""
    return pack_set(own) + pack_set(parent) + pack_followed(followed)


def pack_followed(members: int) -> bytes:
    """struct class_conditions."""
    return members.to_bytes(FOLLOWED_MOST // 8, "little")


def encode(text: str) -> bytes:
    """A path's bytes, without the NULs that some write at its end."""
    return text.encode("utf-8", "surrogateescape").rstrip(b"\0")


def keys_of(kind: Kind, hits: dict[bytes, int]) -> Iterator[tuple[str, bytes, int]]:
    """Map, key and what holds there."""
    if kind is Kind.EQUAL:
        for text, hit in hits.items():
            size = next(size for size in TEXT_CLASSES if len(text) <= size)
            yield f"class_texts_{size}", TEXT_KEYS[size].pack(0, len(text), text), hit
    elif kind is Kind.PREFIX:
        for text, hit in nodes(hits):
            yield "class_prefixes", PREFIX_KEY.pack(8 * len(text), text), hit
    else:
        for text, hit in nodes({text[::-1]: hit for text, hit in hits.items()}):
            yield "class_postfixes", POSTFIX_KEY.pack(8 * len(text), text), hit
