# SPDX-License-Identifier: Apache-2.0
"""Texts of which one has to stand in an event for a condition to hold: the pre-filter.

Texts are folded, and stand between NUL characters as the values of a field do (agent/detect/compile.py):
`\\0/bin/sh\\0` is the whole value, `/sh\\0` its end. NUL is in no path and no argument, so nothing else
looks so."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from functools import lru_cache
from importlib import import_module
from typing import Any

from agent.detect.conditions import And, Check, Match, Node, Not

END = "\0"
Cover = dict[str, frozenset[str]]
"""Texts by field: where the condition holds, one of them stands in its field."""
Items = Iterable[tuple[Any, Any]]
"""Parts of a parsed expression, one after the other."""
MAX_TEXTS = 20_000
MAX_RUNS = 64
"""Texts that a part of an expression may stand for, to be looked for one by one."""
MAX_CLASS = 4
"""Characters of a class that are told apart."""
_NOTHING = frozenset([""])
_REPEATS = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")
_NESTING = ("SUBPATTERN", "BRANCH", *_REPEATS)
_LENGTH, _SELDOM = 60, 0.002
"""Characters of a field, and how frequent each is that stands in none of the tiers below."""
_CHARACTERS = {
    character: frequency
    for frequency, characters in (
        (0.06, "etaoinsr/- "),
        (0.03, "lcdpumbhfg."),
        (0.012, "wyvkx_=:,0123456789"),
    )
    for character in characters
} | {END: 1 / _LENGTH}
"""As in command lines and paths of machines that build and serve, roughly."""
_OF_COMMON = 0.25
_WORDS = re.compile(r"[^\W_]+")
_COMMON = frozenset((
    "usr", "bin", "sbin", "lib", "lib64", "local", "etc", "opt", "var", "run", "tmp", "dev", "home", "root",
    "proc", "sys", "share", "sh", "bash", "dash", "python", "python3",
))  # fmt: skip
"""Words that stand in every fourth event."""
_NOT_PYTHON = (r"\p", r"\P", r"\Q", r"\C", r"\z", r"\x{")
_NAMED_CLASS = re.compile(r"\[:\^?[a-z]+:\]")
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


def worth(cover: Cover) -> float:
    """How telling it is: the more, the fewer events have one of its texts."""
    return -sum(_frequency(text) for texts in cover.values() for text in texts)


@lru_cache(maxsize=65536)
def _frequency(text: str) -> float:
    """About how often a field of an event has it. By its characters alone, as if they came
    without order, and for words that stand everywhere by that."""
    found = 1.0
    for character in text:
        found *= _CHARACTERS.get(character, _SELDOM)
    words = _WORDS.findall(text)
    least = _OF_COMMON if words and all(word in _COMMON for word in words) else 0.0
    return max(least, _LENGTH * found)


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
    if any(mark in pattern for mark in _NOT_PYTHON) or _NAMED_CLASS.search(pattern):
        return None
    parser = import_module("re._parser")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python warns of what future versions may read otherwise
            parsed = parser.parse(pattern)
    except Exception:  # what Python cannot read has no pre-filter
        return None
    return _Pattern().needed(list(parsed))


class _Pattern:
    """A parsed expression (Python's re._parser): which texts its parts may stand for."""

    def __init__(self) -> None:
        self._known: dict[int, frozenset[str] | None] = {}
        """What `exact` said of a part; the parsed expression stays as long as this."""

    def needed(self, items: Items, before: frozenset[str] = _NOTHING) -> frozenset[str] | None:
        """Of all parts, one after the other, the most telling one. Neighbours of which all texts are known
        are one part: `n(c|cat)` is `nc` or `ncat`, where `n` and `c` alone say nothing. `before`: what stands
        directly before the first."""
        found: list[frozenset[str]] = []
        runs = before
        for op, value in items:
            exact = self._exact(op.name, value)
            if exact is not None and len(runs) * len(exact) <= MAX_RUNS:
                runs = _joined(runs, exact)
                continue
            found.append(runs)
            part = self._needed_of(op.name, value, runs) if exact is None else None
            runs = _NOTHING if exact is None else exact
            if part:
                found.append(part)
        best = max((one for one in (*found, runs) if "" not in one), key=_telling, default=None)
        return _shortest(best) if best else None

    def _needed_of(self, name: str, value: Any, before: frozenset[str]) -> frozenset[str] | None:
        if name == "SUBPATTERN":
            return self.needed(value[3], before)
        if name in _REPEATS:
            return self.needed(value[2], before) if value[0] else None
        if name == "BRANCH":
            texts: set[str] = set()
            for branch in value[1]:
                part = self.needed(branch, before)
                if not part:
                    return None
                texts |= part
            return frozenset(texts)
        return None

    def _exact(self, name: str, value: Any) -> frozenset[str] | None:
        """All folded texts that an item may stand for, where they are few."""
        if name == "LITERAL":
            return frozenset([chr(value).casefold()]) if 0 < value < 128 else None
        if name == "AT":
            return _NOTHING
        if name == "IN":
            return frozenset(map(str.casefold, found)) if (found := _members(value)) else None
        if name not in _NESTING:
            return None
        if id(value) not in self._known:
            self._known[id(value)] = self._exact_nested(name, value)
        return self._known[id(value)]

    def _exact_nested(self, name: str, value: Any) -> frozenset[str] | None:
        if name == "SUBPATTERN":
            return self._exact_sequence(value[3])
        if name in _REPEATS:
            once = self._exact_sequence(value[2]) if value[1] == 1 else None
            return once if once is None or value[0] else once | _NOTHING
        texts: set[str] = set()
        for branch in value[1]:
            part = self._exact_sequence(branch)
            if part is None or len(texts) > MAX_RUNS:
                return None
            texts |= part
        return frozenset(texts) if len(texts) <= MAX_RUNS else None

    def _exact_sequence(self, items: Items) -> frozenset[str] | None:
        runs = _NOTHING
        for op, value in items:
            exact = self._exact(op.name, value)
            if exact is None or len(runs) * len(exact) > MAX_RUNS:
                return None
            runs = _joined(runs, exact)
        return runs


def _joined(before: frozenset[str], behind: frozenset[str]) -> frozenset[str]:
    if behind is _NOTHING:
        return before
    return frozenset([text + more for text in before for more in behind])


def _shortest(texts: frozenset[str]) -> frozenset[str]:
    """Without those in which another one stands."""
    kept: list[str] = []
    for text in sorted(texts, key=len):
        if not any(shorter in text for shorter in kept):
            kept.append(text)
    return frozenset(kept)


def _telling(texts: frozenset[str]) -> float:
    return -sum(map(_frequency, texts))


def _members(items: Items) -> list[str]:
    """Of a class of a few ASCII characters; none of others."""
    found: list[str] = []
    for op, value in items:
        if op.name == "LITERAL":
            codes = range(value, value + 1)
        elif op.name == "RANGE":
            codes = range(value[0], value[1] + 1)
        else:
            return []
        if codes.start < 1 or codes.stop > 128 or len(found) + len(codes) > MAX_CLASS:
            return []
        found += map(chr, codes)
    return found
