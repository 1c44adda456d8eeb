# SPDX-License-Identifier: Apache-2.0
"""Secrets that follow a name: `--password X`, `A_TOKEN=X`, `"secret": "X"`, `X-Api-Key: X`.

The search starts at the names' last words (`password`), looks back over the rest of the name and ahead
for what separates a name from a value; so every part of the text is looked at a bounded number of times.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from agent.enrich.redact.rules import NameRule, Rules, small_letters
from agent.enrich.redact.values import (
    OPTION,
    Quotes,
    Span,
    after_mark,
    argument,
    enclosed,
    field,
    fields,
    opens_quote,
    word,
)

_NAME_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-[]"
_JOINTS = str.maketrans("", "", "-_.")
"""What may stand between the parts of a word."""

_LONGEST_NAME = 128
_LONGEST_OPTION = 64

_FOLLOWS = r"(?=\d{0,3}[\s\0:=%\"'\\\]])"
_DIGITS = re.compile(r"\d{0,3}")
_SEPARATOR = re.compile(
    r"\\{0,7}[\"']\]?\s*(?:=>|:=|[:=])\s*"  # "name": VALUE, ['name'] = VALUE
    r"|\]?\s*(?:=>|:=|[:=])\s*(?=\\{0,7}[\"'])"  # name: "VALUE"
    r"|\]?\s+(?:=>|:=|=)\s+"
    r"|\]?(?P<tight>:=|=|%3[dD])"
    r"|:\s+"
)
_OPTION_GAP = re.compile(r"\0|\s+|[\"']\s*,\s*(?=[\"'])")
_SWITCH = re.compile(
    r"-+(?:no|ask|use|show|print|get|prompt|require|with|without|enable|disable|skip|allow|reset|change|"
    r"generate|force|need|has|is)[-_]",
    re.IGNORECASE,
)
"""Options that take no value although their names end like a secret's (`--ask-become-pass`)."""

_SHORT = 3
"""An option as short as `-pw` means a secret to some commands only, and has its rule there."""

_OPTION_WITH_FIELD = re.compile(r"--?[\w-]+=")
"""`--from-literal=` in front of a name: the value goes to the argument's end."""


class _Name(NamedTuple):
    rule: NameRule
    start: int
    end: int
    """Where the word and its digits end; what separates it from the value follows."""


class NamedValues:
    """Finds the values of secrets' names."""

    def __init__(self, rules: Rules) -> None:
        self._rules = {word.translate(_JOINTS): rule for rule in rules.names for word in rule.words}
        self._ignored_names = rules.ignore_names
        self._ignored_value = re.compile(
            "|".join(f"(?:{pattern.pattern})" for pattern in rules.ignore_values) or "(?!)",
            re.ASCII | re.DOTALL | re.IGNORECASE,
        )
        self._find = _finder(word for rule in rules.names for word in rule.words)

    def find(self, text: str, claimed: Collection[int]) -> Iterator[Span]:
        """The secrets in the joined arguments; `claimed` are starts of values that others have judged."""
        quotes = Quotes(text)
        done = 0
        for match in self._find.finditer(small_letters(text)):
            name = self._name(text, match) if match.start() >= done else None
            if name is None:
                continue
            start, end = _value(text, name, quotes)
            if end > start and start not in claimed and self._is_secret(name.rule, text, start, end):
                done = end
                yield start, end

    def is_secret(self, name: str, value: str) -> bool:
        """Whether this value of an environment variable is a secret because of its name."""
        for match in self._find.finditer(small_letters(name) + "="):
            found = self._name(name + "=", match)
            if found is not None and found.end == len(name):
                return bool(value) and self._is_secret(found.rule, value, 0, len(value))
        return False

    def _name(self, text: str, match: re.Match[str]) -> _Name | None:
        rule = self._rules[match[0].translate(_JOINTS)]
        end = _DIGITS.match(text, match.end()).end()  # type: ignore[union-attr]  # matches the empty text
        window = text[max(0, match.start() - _LONGEST_NAME) : match.start()]
        start = match.start() - len(window) + len(window.rstrip(_NAME_CHARACTERS))
        if text[start:end] in self._ignored_names:
            return None
        if rule.whole and not _stands_alone(text, match.start()):
            return None
        return _Name(rule, start, end)

    def _is_secret(self, rule: NameRule, text: str, start: int, end: int) -> bool:
        if self._ignored_value.fullmatch(text, start, end):
            return False
        return rule.unless is None or not rule.unless.fullmatch(text, start, end)


def _finder(words: Iterable[str]) -> re.Pattern[str]:
    """An expression for the words, each alternative of which begins with a letter: so `re` can skip ahead."""
    spellings = [re.escape(word).replace("\\-", "[-_.]?") for word in sorted(words, key=len, reverse=True)]
    return re.compile("|".join(spelling + _FOLLOWS for spelling in spellings) or "(?!)", re.ASCII)


def _stands_alone(text: str, start: int) -> bool:
    """Whether the word is no part of a longer one (`dbPass` and `-Dpass` are two words)."""
    before, first = text[start - 1 : start], text[start : start + 1]
    if not before.isalpha() or text[start - 2 : start] == "-D":
        return True
    return before.islower() and first.isupper()


def _value(text: str, name: _Name, quotes: Quotes) -> Span:
    """The value that belongs to the name; an empty span when none does."""
    separator = _SEPARATOR.match(text, name.end)
    if separator is None:
        return _option_value(text, name, quotes)
    start = separator.end()
    before = text[name.start - 1 : name.start] or "\0"
    if _starts_argument(text, name.start, before):
        start = name.end + 1 if text[name.end] == "=" else start
        return argument(text, start) if text[name.start] == "-" else fields(text, start)
    quote = quotes.at(name.start)
    if opens_quote(text, start, inner := quotes.at(start)):
        return word(text, start, inner)
    if before == quote and separator["tight"] is None and text[name.end] in "\"'\\":
        return field(text, start, before)
    if before == quote:
        return enclosed(text, start, quote)
    if before.isspace() or before in "(`|":
        return word(text, start, quote)
    return field(text, start, before)


def _option_value(text: str, name: _Name, quotes: Quotes) -> Span:
    """The value of an option that stands apart from it (`--token X`)."""
    gap = _OPTION_GAP.match(text, name.end)
    if gap is None or text[name.start] != "-" or name.end - name.start <= _SHORT:
        return 0, 0
    if _SWITCH.match(text, name.start):
        return 0, 0
    start = gap.end()
    if gap[0] == "\0":
        span = argument(text, after_mark(text, start))
    else:
        span = word(text, start, quotes.at(name.start) if gap[0].isspace() else "")
    return (0, 0) if OPTION.fullmatch(text, *span) else span


def _starts_argument(text: str, start: int, before: str) -> bool:
    if before == "=":
        border = text.rfind("\0", max(0, start - _LONGEST_OPTION), start) + 1
        return _OPTION_WITH_FIELD.fullmatch(text, border, start) is not None
    return before == "\0"
