# SPDX-License-Identifier: Apache-2.0
"""Regular expressions over bytes, as trees: the part of RE2's syntax that a finite automaton can run in the
kernel.

Literals, `.` (any byte but newline), classes `[a-z]` `[^/]` `[[:digit:]]` `\\d \\w \\s`, groups, `|`, `* + ?
{m,n}` (lazy ones match the same texts), `^`, `$`, escapes, `(?i)` and `(?s)` at the beginning. Characters
beyond ASCII are the bytes of their UTF-8; inside a class they are refused. A Pattern's text is looked for
anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Bytes = int
"""A set of bytes: bit n is byte n."""
ALL_BYTES: Bytes = (1 << 256) - 1
REPEATS_MOST = 1000
"""Highest count in braces, as RE2 has it."""


def span(low: int, high: int) -> Bytes:
    """Bytes from low to high."""
    return (1 << high + 1) - (1 << low)


def chosen(characters: str) -> Bytes:
    """The bytes of ASCII characters."""
    return sum(1 << ord(character) for character in set(characters))


DIGITS = span(48, 57)
LETTERS = span(65, 90) | span(97, 122)
WORD = DIGITS | LETTERS | chosen("_")
SPACE = chosen("\t\n\f\r ")
NAMED = {
    "alpha": LETTERS,
    "digit": DIGITS,
    "alnum": LETTERS | DIGITS,
    "upper": span(65, 90),
    "lower": span(97, 122),
    "space": SPACE | chosen("\v"),
    "xdigit": DIGITS | chosen("abcdefABCDEF"),
    "punct": span(33, 126) & ~(LETTERS | DIGITS),
}
ESCAPED = {
    "d": DIGITS,
    "D": ALL_BYTES & ~DIGITS,
    "w": WORD,
    "W": ALL_BYTES & ~WORD,
    "s": SPACE,
    "S": ALL_BYTES & ~SPACE,
}
CONTROLS = {"n": 10, "t": 9, "r": 13, "f": 12, "v": 11, "a": 7}


@dataclass(frozen=True, slots=True)
class One:
    """One byte of a set."""

    of: Bytes


@dataclass(frozen=True, slots=True)
class Row:
    """One after the other; of nothing: the empty text."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """One of them."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """From `least` to `most` times; most None: any number."""

    part: Node
    least: int
    most: int | None


@dataclass(frozen=True, slots=True)
class Edge:
    """The text's beginning, or its end."""

    is_end: bool


Node = One | Row | Either | Repeat | Edge


def both_cases(some: Bytes) -> Bytes:
    """The same letters in upper and lower case."""
    upper, lower = span(65, 90), span(97, 122)
    return some | (some & upper) << 32 | (some & lower) >> 32


def literal(text: str, ignores_case: bool = False) -> Row:
    """The text itself."""
    fold: Callable[[Bytes], Bytes] = both_cases if ignores_case else lambda some: some
    return Row(tuple(One(fold(1 << byte)) for byte in text.encode("utf-8", "surrogateescape")))


def parse(text: str) -> Node:
    """The tree of a pattern; ValueError says what is not understood and where."""
    return _Parser(text).parse()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.ignores_case = self.dot_is_all = False

    def parse(self) -> Node:
        while self.text.startswith(("(?i)", "(?s)"), self.at):
            self.ignores_case |= self.text[self.at + 2] == "i"
            self.dot_is_all |= self.text[self.at + 2] == "s"
            self.at += 4
        found = self.either()
        if self.at < len(self.text):
            raise self.wrong("unbalanced `)`")
        return found

    def wrong(self, what: str) -> ValueError:
        return ValueError(f"{what} at character {self.at + 1} of the pattern `{self.text[:80]}`")

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self) -> str:
        if self.at >= len(self.text):
            raise self.wrong("something is missing")
        self.at += 1
        return self.text[self.at - 1]

    def either(self) -> Node:
        parts = [self.row()]
        while self.peek() == "|":
            self.at += 1
            parts.append(self.row())
        return Either(tuple(parts)) if len(parts) > 1 else parts[0]

    def row(self) -> Node:
        parts: list[Node] = []
        while self.peek() not in ("", "|", ")"):
            parts.append(self.repeated(self.atom()))
        return Row(tuple(parts))

    def repeated(self, part: Node) -> Node:
        while (sign := self.peek()) and sign in "*+?{":
            if sign == "{" and not self.braces():
                break
            least, most = self.counts()
            if self.peek() == "?":
                self.at += 1
            part = Repeat(part, least, most)
        return part

    def braces(self) -> bool:
        """Whether `{` begins counts; else it stands for itself."""
        inside, closed, _ = self.text[self.at + 1 :].partition("}")
        least, comma, most = inside.partition(",")
        return bool(closed) and least.isdecimal() and (not most or (bool(comma) and most.isdecimal()))

    def counts(self) -> tuple[int, int | None]:
        sign = self.take()
        if sign != "{":
            return (1 if sign == "+" else 0), (1 if sign == "?" else None)
        inside = self.text[self.at : self.text.index("}", self.at)]
        least, comma, most = inside.partition(",")
        low, high = int(least), int(most) if most else None if comma else int(least)
        if low > REPEATS_MOST or (high is not None and (high > REPEATS_MOST or high < low)):
            raise self.wrong(f"counts {{{inside}}}: at most {REPEATS_MOST}, the lower first")
        self.at += len(inside) + 1
        return low, high

    def atom(self) -> Node:
        sign = self.take()
        if sign == "(":
            return self.group()
        if sign == "[":
            return self.one(self.bracket())
        if sign == ".":
            return One(ALL_BYTES if self.dot_is_all else ALL_BYTES & ~chosen("\n"))
        if sign in "^$":
            return Edge(sign == "$")
        if sign == "\\":
            return self.escape()
        if sign in "*+?":
            self.at -= 1
            raise self.wrong(f"`{sign}` repeats nothing")
        return literal(sign, self.ignores_case)

    def group(self) -> Node:
        if self.text.startswith("?:", self.at):
            self.at += 2
        elif self.text.startswith("?P<", self.at) and ">" in self.text[self.at :]:
            self.at = self.text.index(">", self.at) + 1
        elif self.peek() == "?":
            raise self.wrong("this kind of group is not supported")
        found = self.either()
        if self.peek() != ")":
            raise self.wrong("a `)` is missing")
        self.at += 1
        return found

    def one(self, some: Bytes) -> One:
        return One(both_cases(some) if self.ignores_case else some)

    def escape(self) -> Node:
        sign = self.take()
        if sign == "A":
            return Edge(False)
        if sign == "z":
            return Edge(True)
        if sign in ESCAPED:
            return One(ESCAPED[sign])
        return self.one(1 << self.escaped_byte(sign))

    def escaped_byte(self, sign: str) -> int:
        if sign in CONTROLS:
            return CONTROLS[sign]
        if sign == "x":
            digits = self.take() + self.take()
            try:
                return int(digits, 16)
            except ValueError:
                raise self.wrong(f"`\\x{digits}` is no byte") from None
        if sign.isascii() and not sign.isalnum():
            return ord(sign)
        raise self.wrong(f"`\\{sign}` is not supported")

    def bracket(self) -> Bytes:
        negated = self.peek() == "^"
        self.at += negated
        found, is_first = 0, True
        while is_first or self.peek() != "]":
            found |= self.bracket_part()
            is_first = False
        self.at += 1
        if self.ignores_case:
            found = both_cases(found)
        return ALL_BYTES & ~found if negated else found

    def bracket_part(self) -> Bytes:
        if self.text.startswith("[:", self.at):
            name, closed, _ = self.text[self.at + 2 :].partition(":]")
            if not closed or name not in NAMED:
                raise self.wrong("unknown class")
            self.at += len(name) + 4
            return NAMED[name]
        if self.peek() == "\\" and self.text[self.at + 1 : self.at + 2] in ESCAPED:
            self.at += 2
            return ESCAPED[self.text[self.at - 1]]
        low = self.bracket_byte()
        if self.peek() != "-" or self.text[self.at + 1 : self.at + 2] in ("]", ""):
            return 1 << low
        self.at += 1
        high = self.bracket_byte()
        if high < low:
            raise self.wrong("a range in a class goes backwards")
        return span(low, high)

    def bracket_byte(self) -> int:
        sign = self.take()
        if sign == "\\":
            return self.escaped_byte(self.take())
        if not sign.isascii():
            raise self.wrong(f"`{sign}` in a class: only ASCII is supported there")
        return ord(sign)
