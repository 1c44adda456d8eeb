# SPDX-License-Identifier: Apache-2.0
"""Numbers of process classes and of followed conditions across agents.

Until the next agent has taken over all hooks, programs of the one before judge by the classes that the next
one's classifier computes: what they ask has to keep its number, and nothing else may be given it. Kept in the
map `classes` (agent/kernel/posts.py) as a digest for each number, classes first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from hashlib import sha256
from typing import Any

from agent.policy.executables import FOLLOWED_MOST

CLASSES_MOST = 256
DIGEST_BYTES = 16
_NOTHING = bytes(DIGEST_BYTES)


def digest(condition: object) -> bytes:
    """Equal for equal conditions, in any process."""
    return sha256(repr(_plain(condition)).encode()).digest()[:DIGEST_BYTES]


def packed(classes: Mapping[Any, int], followed: Mapping[Any, int]) -> bytes:
    """What the map `classes` holds."""
    rows = [_NOTHING] * (CLASSES_MOST + FOLLOWED_MOST)
    for condition, number in classes.items():
        rows[number] = digest(condition)
    for condition, number in followed.items():
        rows[CLASSES_MOST + number] = digest(condition)
    return b"".join(rows)


class Numbers:
    """Of one kind: what an agent before called it, until `forget`."""

    def __init__(self, rows: bytes = b"") -> None:
        """`rows`: a digest for each number."""
        cut = (rows[at : at + DIGEST_BYTES] for at in range(0, len(rows), DIGEST_BYTES))
        self._before = {row: number for number, row in enumerate(cut) if row != _NOTHING}

    def choose(self, condition: object, free: Collection[int]) -> tuple[int, bool]:
        """One of the free numbers, of which there must be one, and whether it meant the same before."""
        known = self._before.get(digest(condition)) if self._before else None
        if known is not None and known in free:
            return known, True
        taken = set(self._before.values())
        return next((number for number in free if number not in taken), next(iter(free))), False

    def forget(self) -> None:
        """No program of an agent before judges any more."""
        self._before.clear()


def numbers_of(content: bytes) -> tuple[Numbers, Numbers]:
    """Of classes and of followed conditions, from the map's content; empty where there is none."""
    border = CLASSES_MOST * DIGEST_BYTES
    return Numbers(content[:border]), Numbers(content[border:])


def _plain(thing: object) -> object:
    """Without what does not make two conditions differ."""
    if is_dataclass(thing):
        compared = (_plain(getattr(thing, field.name)) for field in fields(thing) if field.compare)
        return (type(thing).__name__, *compared)
    return tuple(map(_plain, thing)) if isinstance(thing, tuple) else thing
