# SPDX-License-Identifier: Apache-2.0
"""Sigma's filters: documents that narrow rules of others without a change to them.

A rule that a filter is for holds where the filter's condition holds as well, as pySigma applies them
(sigma/filters.py): `condition: not selection` leaves out what the selection says. Sigma Filters
Specification, version 2.1.0.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from agent.detect.conditions import And
from agent.detect.rules import Rule, RuleProblem

ANY = "any"
"""In the place of rules: all of the filter's logsource."""


class Filter(NamedTuple):
    """One filter."""

    rules: tuple[str, ...]
    """Ids or names in small letters, or ANY."""
    body: Rule
    """Its condition, logsource, title and place, as those of a rule."""

    def is_for(self, rule: Rule) -> bool:
        """Whether it narrows a rule: the rule is named, and of the logsource."""
        named = ANY in self.rules or rule.id in self.rules or (rule.name or rule.id).lower() in self.rules
        wanted = self.body.logsource[:3]
        return named and all(part in ("", its) for part, its in zip(wanted, rule.logsource[:3], strict=True))


def narrowed(rules: Iterable[Rule], filters: Sequence[Filter]) -> Iterator[Rule]:
    """The rules with the conditions of their filters."""
    for rule in rules:
        found = [one.body for one in filters if one.is_for(rule)]
        yield _narrowed(rule, found) if found else rule


def idle(rules: Sequence[Rule], filters: Iterable[Filter]) -> Iterator[RuleProblem]:
    """Filters that are for no rule: mistyped, or read without their rules."""
    for one in filters:
        if ANY not in one.rules and not any(one.is_for(rule) for rule in rules):
            hint = "name ids of rules of the filter's logsource, and read the filter together with them"
            text, body = f"rules: {', '.join(one.rules)}", one.body
            yield RuleProblem(
                body.path, body.line, text, "the filter is for no rule", hint, body.title, is_refusal=True
            )


def _narrowed(rule: Rule, filters: Sequence[Rule]) -> Rule:
    versions = " ".join([rule.version, *(one.version for one in filters)])
    return dataclasses.replace(
        rule,
        condition=And((rule.condition, *(one.condition for one in filters))),
        version=hashlib.sha256(versions.encode()).hexdigest()[:12],
    )
