# SPDX-License-Identifier: Apache-2.0
"""Texts of which one has to stand in an event for a condition to hold: the pre-filter.

Texts are folded, and stand between NUL characters as the values of a field do (agent/detect/compile.py):
`\\0/bin/sh\\0` is the whole value, `/sh\\0` its end. NUL is in no path and no argument, so nothing else
looks so."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any

from agent.detect.conditions import And, Check, Match, Node, Not

END = "\0"
Cover = dict[str, frozenset[str]]
"""Texts by field: where the condition holds, one of them stands in its field."""
MAX_TEXTS = 20_000
_NOT_PYTHON = ("[:", r"\p", r"\P", r"\Q", r"\C", r"\z", r"\x{")
"""What RE2 reads otherwise than Python."""


def literal_of(check: Check) -> str | None:
    """The text of a check that asks for nothing but one; None for others."""
    if check.cased or not isinstance(check.value, str) or END in check.value:
        return None
    begin = END if check.op in ("equals", "startswith") else ""
    end = END if check.op in ("equals", "endswith") else ""
    return begin + check.value + end if check.op in ("equals", "startswith", "endswith", "contains") else None


def cover_of(node: Node) -> Cover | None:
    """The most telling texts; None when there are none."""
    if isinstance(node, Match):
        texts = _texts_of(node.check)
        return {node.check.field: texts} if texts else None
    if isinstance(node, Not):
        return None
    covers = [cover_of(part) for part in node.parts]
    if isinstance(node, And):
        return max((one for one in covers if one is not None), key=worth, default=None)
    found: dict[str, set[str]] = {}
    for cover in covers:
        if cover is None:
            return None
        for field, texts in cover.items():
            found.setdefault(field, set()).update(texts)
    if sum(map(len, found.values())) > MAX_TEXTS:
        return None
    return {field: frozenset(texts) for field, texts in found.items()}


def worth(cover: Cover) -> tuple[int, int]:
    """How telling it is: by the shortest text, then by how few there are. What Image says is worth more."""
    shortest = min(_weight(field, text) for field, texts in cover.items() for text in texts)
    return shortest, -sum(map(len, cover.values()))


def _weight(field: str, text: str) -> int:
    bare = sum(character.isalnum() for character in text)
    return bare + 4 * (field == "Image") + 2 * text.endswith(END) + 2 * text.startswith(END)


def _texts_of(check: Check) -> frozenset[str] | None:
    literal = literal_of(check._replace(cased=False, value=_folded(check.value)))
    if literal is not None:
        return frozenset([literal]) if literal.strip(END) else None
    if check.op == "glob" and isinstance(check.value, tuple):
        return _texts_of_glob(check.value)
    if check.op == "re":
        return texts_of_pattern(str(check.value))
    return None


def _folded(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


def _texts_of_glob(pieces: tuple[str | int, ...]) -> frozenset[str] | None:
    texts = [piece.casefold() for piece in pieces if isinstance(piece, str)]
    if isinstance(pieces[0], str):
        texts[0] = END + texts[0]
    if isinstance(pieces[-1], str):
        texts[-1] += END
    longest = max(texts, key=len, default="")
    return frozenset([longest]) if longest.strip(END) and longest.count(END) < 2 else None


@lru_cache(maxsize=4096)
def texts_of_pattern(pattern: str) -> frozenset[str] | None:
    """Folded texts of which one stands in whatever an expression (RE2) is found in."""
    if any(mark in pattern for mark in _NOT_PYTHON):
        return None
    parser = import_module("re._parser")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python warns of what future versions may read otherwise
            parsed = parser.parse(pattern)
    except Exception:  # what Python cannot read has no pre-filter
        return None
    return _of_sequence(list(parsed))


def _of_sequence(items: Sequence[tuple[Any, Any]]) -> frozenset[str] | None:
    """Of all parts, one after the other, the most telling one."""
    found: list[frozenset[str]] = []
    run = ""
    for op, value in [*items, ("END", None)]:
        name = str(op)
        if name == "LITERAL" and 0 < value < 128:
            run += chr(value).casefold()
            continue
        if run:
            found.append(frozenset([run]))
            run = ""
        part = _of_item(name, value)
        if part:
            found.append(part)
    return max(found, key=_telling, default=None)


def _telling(texts: Iterable[str]) -> tuple[int, int]:
    found = list(texts)
    return min(sum(character.isalnum() for character in text) for text in found), -len(found)


def _of_item(name: str, value: Any) -> frozenset[str] | None:
    if name == "SUBPATTERN":
        return _of_sequence(list(value[3]))
    if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        return _of_sequence(list(value[2])) if value[0] else None
    if name == "BRANCH":
        texts: set[str] = set()
        for branch in value[1]:
            part = _of_sequence(list(branch))
            if not part:
                return None
            texts |= part
        return frozenset(texts)
    return None
