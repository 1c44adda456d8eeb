# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a policy, collected while everything else is read on."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from agent.policy.model import Problem, Where

MOST_PROBLEMS = 1000
"""Problems of one load that are told one by one."""


class Wrong(ValueError):
    """A value that cannot be taken: the reason, and the way out."""

    def __init__(self, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.hint = hint


class Report:
    """Problems in the order of their finding, each once (a macro is read by every selector that uses it)."""

    def __init__(self) -> None:
        self._problems: dict[Problem, None] = {}
        self._errors = 0

    @property
    def errors(self) -> int:
        """How often an error was reported, repetitions included."""
        return self._errors

    def error(self, where: Where, text: str, hint: str = "") -> None:
        """Something that keeps the policy from being loaded."""
        self._add(Problem(where, text, hint))

    def warn(self, where: Where, text: str, hint: str = "") -> None:
        """Something that its author should know."""
        self._add(Problem(where, text, hint, is_error=False))

    def wrong(self, where: Where, problem: Wrong) -> None:
        """An error that a check raised."""
        self.error(where, problem.text, problem.hint)

    def problems(self) -> list[Problem]:
        """All of them by line; beyond MOST_PROBLEMS a count."""
        found = sorted(self._problems, key=lambda problem: problem.where.line)
        left = len(found) - MOST_PROBLEMS
        if left <= 0:
            return found
        last = Problem(found[MOST_PROBLEMS].where, f"{left} more problems follow", "correct these first")
        return [*found[:MOST_PROBLEMS], last]

    def _add(self, problem: Problem) -> None:
        self._problems[problem] = None
        self._errors += problem.is_error


def nearest(word: str, choices: Iterable[str]) -> str:
    """A hint: the nearest of the choices, else all of them where they are few."""
    known = sorted(set(choices))
    folded = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower()[:128], list(folded), n=1, cutoff=0.6)
    if near:
        return f'did you mean "{folded[near[0]]}"?'
    return f"one of: {', '.join(known)}" if 0 < len(known) <= 40 else ""
