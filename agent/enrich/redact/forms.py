# SPDX-License-Identifier: Apache-2.0
"""Secrets that are known by their form: tokens of well-known services, passwords in URLs, private keys."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.enrich.redact.rules import PatternRule
from agent.enrich.redact.values import Span


def known_forms(rule: PatternRule, text: str, lowered: str) -> Iterator[Span]:
    """The rule's secrets in the joined arguments; `lowered` is the same text in small letters."""
    group = "secret" if "secret" in rule.pattern.groupindex else 0
    if not rule.begins:
        yield from (match.span(group) for match in rule.pattern.finditer(text))
    for begin in rule.begins:
        yield from (match.span(group) for match in _at(rule.pattern, begin, text, lowered))


def _at(pattern: re.Pattern[str], begin: str, text: str, lowered: str) -> Iterator[re.Match[str]]:
    """The matches that begin with these letters."""
    place = lowered.find(begin)
    while place >= 0:
        match = pattern.match(text, place)
        if match is not None:
            yield match
        place = lowered.find(begin, max(match.end(), place + 1) if match else place + 1)
