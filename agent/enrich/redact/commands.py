# SPDX-License-Identifier: Apache-2.0
"""Secrets in the options of particular commands: `mysql -pX`, `curl -u me:X`, `docker login -p X`.

A command may be the process itself, an argument of another one (`docker exec db mysql -pX`) or stand in a
script (`sh -c "mysql -pX"`).
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

from agent.enrich.redact.rules import CommandRule, Rules
from agent.enrich.redact.values import OPTION, Quotes, Span, after_mark, arguments, words

_BEFORE = r"(?<![^\s\0/;&|(\"'`=])"
_AFTER = r"(?=[\s\0])"
_FAR = 256
"""Characters between a command and the sub-command that its rule asks for."""


class Found(NamedTuple):
    """A value that a rule has judged."""

    value: Span
    secret: Span | None
    """None: the value holds no secret."""


class CommandOptions:
    """Finds what the rules for commands describe."""

    def __init__(self, rules: Rules) -> None:
        self._rules: dict[str, list[_Rule]] = {}
        for rule in map(_Rule, rules.commands):
            for name in rule.names:
                self._rules.setdefault(name, []).append(rule)
        self._command = _command(self._rules)

    def find(self, text: str) -> Iterator[Found]:
        """The judged values in the joined arguments."""
        present = dict.fromkeys(self._command.findall(text))
        for rule in dict.fromkeys(rule for name in present for rule in self._rules[name]):
            yield from rule.find(text)


class _Rule:
    """One rule with its expressions."""

    def __init__(self, rule: CommandRule) -> None:
        self.names = rule.commands
        self._rule = rule
        self._command = _command(rule.commands)
        self._after = re.compile(f"(?<=[\\s\\0]){re.escape(rule.after)}{_AFTER}") if rule.after else None
        self._option = re.compile(_options(rule), re.DOTALL)
        hint = _options(rule, r"(?=[\s\0\"'])", "(?=.)")
        self._hint = re.compile("" if rule.positional else f"(?<=[\\s\\0\"']){hint}", re.DOTALL)
        """Matches where one of the options may stand; cheaper than going over the words."""

    def find(self, text: str) -> Iterator[Found]:
        hints = deque(self._hint.finditer(text), maxlen=1)
        if not hints:
            return
        last = len(text) if self._rule.positional else hints[0].end()
        quotes = Quotes(text)
        starts = [match.end() for match in self._command.finditer(text)]
        for start, limit in pairwise([*starts, len(text) + 1]):
            begin = self._begin(text, start, limit)
            if begin is not None:
                yield from self._options(text, begin, min(limit, last), quotes)

    def _begin(self, text: str, start: int, limit: int) -> int | None:
        """Where the options of the command that ends at `start` begin."""
        if self._after is None:
            return start
        match = self._after.search(text, start, min(limit, start + _FAR))
        return match.end() if match else None

    def _options(self, text: str, begin: int, limit: int, quotes: Quotes) -> Iterator[Found]:
        in_script = text[begin] != "\0"
        expected = False
        for start, end in words(text, begin, quotes.at(begin)) if in_script else arguments(text, begin + 1):
            start = start if in_script else after_mark(text, start)
            part = text[start:end]
            if (start >= limit and not expected) or part in self._rule.until:
                return
            if expected and not OPTION.fullmatch(part):
                expected = False
                yield self._judge(text, start, end, self._rule.value)
                continue
            match = self._option.match(part)
            expected = match is not None and match["value"] is None
            if match is not None and not expected:
                start += match.start("value")
                span = _unquoted(text, start, end) if in_script else (start, end)
                yield self._judge(text, *span, self._rule.value)
            elif match is None and self._rule.positional is not None:
                yield self._judge(text, start, end, self._rule.positional)

    def _judge(self, text: str, start: int, end: int, pattern: re.Pattern[str] | None) -> Found:
        if pattern is None:
            return Found((start, end), (start, end))
        match = pattern.fullmatch(text, start, end)
        if match is None:
            return Found((start, end), None)
        return Found((start, end), match.span("secret" if "secret" in pattern.groupindex else 0))


def _command(names: Iterable[str]) -> re.Pattern[str]:
    every = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return re.compile(f"{_BEFORE}(?:{every or '(?!)'}){_AFTER}")


def _options(rule: CommandRule, end: str = "\\Z", value: str = "(?P<value>.+)") -> str:
    """An expression for an option, with the group `value` when the value stands in the same argument."""
    apart = [_spelling(option) for option in rule.separate]
    joined = [re.escape(option) for option in rule.attached]
    joined += [re.escape(option) + "=" for option in rule.separate if option.startswith("--")]
    return f"(?:(?:{'|'.join(apart) or '(?!)'}){end}|(?:{'|'.join(joined) or '(?!)'}){value})"


def _spelling(option: str) -> str:
    """The option; a short one may stand behind other short ones (`-sSu`)."""
    if len(option) == 2 and option[0] == "-":
        return f"-[A-Za-z]{{0,10}}{option[1]}"
    return re.escape(option)


def _unquoted(text: str, start: int, end: int) -> Span:
    """Without the quotes of `-p'X'` in a script."""
    if end - start > 1 and text[start] in "\"'" and text[end - 1] == text[start]:
        return start + 1, end - 1
    return start, end
