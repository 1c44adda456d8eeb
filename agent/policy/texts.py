# SPDX-License-Identifier: Apache-2.0
"""Texts: equal ones by hash map in size classes, prefixes and postfixes by longest prefix."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from agent.policy.contents import Contents
from agent.policy.groups import Group
from agent.policy.layout import POSTFIX_KEY, PREFIX_KEY, TEXT_CLASSES, TEXT_KEYS, pack_set


def hits_of(group: Group) -> dict[bytes, int]:
    """By text: the constraints of which it is a value."""
    hits: dict[bytes, int] = {}
    for at, constraint in enumerate(group.constraints):
        for text in constraint.values:
            hits[text] = hits.get(text, 0) | 1 << at
    return hits


def compile_equal(group: Group, number: int, into: Contents) -> None:
    """strings_N[{filter, length, text}] with the least N that holds the text."""
    for text, hit in hits_of(group).items():
        size = next(size for size in TEXT_CLASSES if len(text) <= size)
        key = TEXT_KEYS[size].pack(number, len(text), text)
        into.maps[f"strings_{size}"][key] = pack_set(group.satisfied(hit))
    into.table(number, group.otherwise)


def nodes(hits: dict[bytes, int]) -> Iterator[tuple[bytes, int]]:
    """Each text with the constraints of which it or a beginning of it is a value."""
    above: list[tuple[bytes, int]] = []
    for text in sorted(hits):
        while above and not text.startswith(above[-1][0]):
            above.pop()
        above.append((text, hits[text] | (above[-1][1] if above else 0)))
        yield above[-1]


def compile_prefix(group: Group, number: int, into: Contents) -> None:
    """prefixes[{bits, filter, text}]."""
    _compile_trie(hits_of(group), group, number, into, "prefixes", PREFIX_KEY)


def compile_postfix(group: Group, number: int, into: Contents) -> None:
    """postfixes[{bits, filter, reversed text}]."""
    hits = {text[::-1]: hit for text, hit in hits_of(group).items()}
    _compile_trie(hits, group, number, into, "postfixes", POSTFIX_KEY)


def _compile_trie(
    hits: dict[bytes, int], group: Group, number: int, into: Contents, name: str, layout: struct.Struct
) -> None:
    filter_bytes = struct.pack(">I", number)
    entries = into.maps[name]
    for text, hit in nodes(hits):
        entries[layout.pack(32 + 8 * len(text), filter_bytes, text)] = pack_set(group.satisfied(hit))
    into.table(number, group.otherwise)
