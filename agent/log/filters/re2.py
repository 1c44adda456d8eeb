# SPDX-License-Identifier: Apache-2.0
"""Regular expressions in RE2's syntax, compiled with Python's `re`.

Clients of this interface write RE2. The two dialects share most of their syntax; `translate` rewrites
what means something else in Python, and refuses what RE2 does not have (look-around, back references,
possessive quantifiers) as well as the little of RE2 that Python cannot do (docs/api.md lists it). Unlike
RE2, Python backtracks: the time that a match may take is bounded elsewhere (`timelimit`).

Syntax: https://github.com/google/re2/wiki/Syntax
"""

from __future__ import annotations

import re
import warnings
from functools import lru_cache

MAX_PATTERN = 4096
"""Longest pattern, in characters."""
MAX_REPEAT = 1000
"""Highest count in `{n,m}`, the same as in RE2."""

_POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7f",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_GROUP = re.compile(r"\((?:\?(?:P?<([A-Za-z_]\w*)>|([imsU]*(?:-[imsU]+)?)([:)])))?", re.ASCII)
_COUNT = re.compile(r"\{(\d+)(?:,(\d*))?\}", re.ASCII)
_HEX = re.compile(r"x(?:\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{2}))")
_OCTAL = re.compile(r"0[0-7]{0,2}|[1-7][0-7]{1,2}")
_POSIX_CLASS = re.compile(r"\[:(\^?)(\w+):\]", re.ASCII)
_SPACE = r"\t\n\f\r "


class PatternRefused(ValueError):
    """The pattern is not RE2, or uses one of the few things that are not supported."""


@lru_cache(maxsize=256)
def compile_re2(pattern: str) -> re.Pattern[str]:
    """The compiled pattern; matching means finding it anywhere (`search`). Raises PatternRefused."""
    if len(pattern) > MAX_PATTERN:
        raise PatternRefused(f"longer than {MAX_PATTERN} characters")
    translated = _Translator(pattern).run()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            return re.compile(translated, re.ASCII)
    except (re.error, RecursionError, OverflowError) as error:
        raise PatternRefused(f"{error} (in {pattern!r})") from None


class _Group:
    """An open group: what was opened inside it for `(?flags)`, and the flag that `$` depends on."""

    def __init__(self, multiline: bool, opens: str = "") -> None:
        self.multiline = multiline
        self.inline: list[str] = [opens] if opens else []


class _Translator:
    """One pass over a pattern, from left to right."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.out: list[str] = []
        self.groups = [_Group(False)]
        self.after_quantifier = False

    def run(self) -> str:
        while self.at < len(self.pattern):
            quantified = self.after_quantifier
            self.after_quantifier = False
            self._step(self.pattern[self.at], quantified)
        if len(self.groups) > 1:
            raise self._refusal("missing )")
        self.out.append(")" * len(self.groups[0].inline))
        return "".join(self.out)

    def _step(self, character: str, quantified: bool) -> None:
        if character in "*+?{":
            self._quantifier(character, quantified)
        elif character in _STEPS:
            _STEPS[character](self)
        else:
            self._take(1, character)

    def _take(self, count: int, text: str) -> None:
        self.at += count
        self.out.append(text)

    def _refusal(self, reason: str) -> PatternRefused:
        return PatternRefused(f"{reason} (at {self.at} in {self.pattern!r})")

    def _quantifier(self, character: str, quantified: bool) -> None:
        count = _COUNT.match(self.pattern, self.at) if character == "{" else None
        if character == "{" and count is None:
            self._take(1, r"\{")
            return
        if quantified and character != "?":
            raise self._refusal("a quantifier follows a quantifier")
        if count and max(int(number or 0) for number in count.groups()) > MAX_REPEAT:
            raise self._refusal(f"a count above {MAX_REPEAT}")
        text = count[0] if count else character
        self._take(len(text), text)
        self.after_quantifier = not quantified

    def _open(self) -> None:
        match = _GROUP.match(self.pattern, self.at)
        if match is None or (self.pattern.startswith("(?", self.at) and match[0] == "("):
            raise self._refusal("not in RE2: look-around, back reference or unknown group")
        name, flags, closing = match.groups()
        if flags is not None and "U" in flags:
            raise self._refusal("the flag U (ungreedy) is not supported")
        if closing == ")":
            self._inline_flags(flags or "", len(match[0]))
            return
        self._take(len(match[0]), f"(?P<{name}>" if name else match[0])
        self.groups.append(_Group(_multiline(flags or "", self.groups[-1].multiline)))

    def _inline_flags(self, flags: str, length: int) -> None:
        """`(?i)` holds for the rest of its group, which Python writes `(?i:…)`."""
        group = self.groups[-1]
        group.multiline = _multiline(flags, group.multiline)
        opening = f"(?{flags}:" if flags.strip("-") else "(?:"
        group.inline.append(opening)
        self._take(length, opening)

    def _close(self) -> None:
        if len(self.groups) == 1:
            raise self._refusal("unexpected )")
        self._take(1, ")" * len(self.groups.pop().inline) + ")")

    def _alternative(self) -> None:
        """What `(?i)` opened must not swallow the alternatives: it is closed and opened again."""
        inline = self.groups[-1].inline
        self._take(1, ")" * len(inline) + "|" + "".join(inline))

    def _end_of_text(self) -> None:
        self._take(1, "$" if self.groups[-1].multiline else r"\Z")

    def _escape(self) -> None:
        rest = self.pattern[self.at + 1 : self.at + 2]
        if rest == "Q":
            self._quoted()
        elif rest == "z":
            self._take(2, r"\Z")
        elif rest == "s":
            self._take(2, f"[{_SPACE}]")
        elif rest == "S":
            self._take(2, f"[^{_SPACE}]")
        elif rest and rest in "AbB":
            self._take(2, "\\" + rest)
        else:
            self._character()

    def _quoted(self) -> None:
        end = self.pattern.find(r"\E", self.at)
        end = len(self.pattern) if end < 0 else end
        self._take(end + 2 - self.at, re.escape(self.pattern[self.at + 2 : end]))

    def _character(self) -> None:
        """An escape that stands for one character or a class, inside and outside of brackets."""
        rest = self.pattern[self.at + 1 :]
        number = _HEX.match(rest)
        octal = _OCTAL.match(rest)
        if number:
            code = int(number[1] or number[2], 16)
            if code > 0x10FFFF:
                raise self._refusal("no such character")
            self._take(1 + len(number[0]), re.escape(chr(code)))
        elif octal:
            self._take(1 + len(octal[0]), re.escape(chr(int(octal[0], 8))))
        elif rest[:1] in ("p", "P"):
            raise self._refusal(r"Unicode classes (\p) are not supported")
        elif rest and (rest[0] in "afnrtvdDwW" or not rest[0].isalnum()):
            self._take(2, "\\" + rest[0])
        else:
            raise self._refusal("this escape is not in RE2")

    def _bracket(self) -> None:
        negated = self.pattern.startswith("[^", self.at)
        self._take(1 + negated, "[^" if negated else "[")
        first = True
        while first or not self.pattern.startswith("]", self.at):
            if self.at >= len(self.pattern):
                raise self._refusal("missing ]")
            self._in_bracket(self.pattern[self.at])
            first = False
        self._take(1, "]")

    def _in_bracket(self, character: str) -> None:
        posix = _POSIX_CLASS.match(self.pattern, self.at)
        if posix:
            if posix[1] or posix[2] not in _POSIX:
                raise self._refusal(f"the class {posix[0]} is not supported")
            self._take(len(posix[0]), _POSIX[posix[2]])
        elif self.pattern.startswith(r"\s", self.at):
            self._take(2, _SPACE)
        elif self.pattern.startswith(r"\S", self.at):
            self._take(2, r"\S")
        elif character == "\\":
            self._character()
        else:
            self._take(1, "\\" + character if character in "[]&~|" else character)


_STEPS = {
    "(": _Translator._open,
    ")": _Translator._close,
    "|": _Translator._alternative,
    "$": _Translator._end_of_text,
    "[": _Translator._bracket,
    "\\": _Translator._escape,
}


def _multiline(flags: str, now: bool) -> bool:
    """Whether `m` holds once these flags (`i`, `ms-i`, `-m`) are applied."""
    on, _, off = flags.partition("-")
    return ("m" in on) or (now and "m" not in off)
