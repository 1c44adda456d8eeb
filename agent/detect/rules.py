# SPDX-License-Identifier: Apache-2.0
"""Rules: what is known of each, and how files of them are read. All problems of all files at once.

A rule with a problem is left out, the others are there: one bad file does not blind the agent. Files are
other people's, so everything about them is bounded (agent/detect/documents.py).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from agent.detect.conditions import Node
from agent.detect.documents import Item, Unreadable, documents, read_bytes
from agent.detect.files import rule_files
from agent.errors import UsageError

LEVELS = ("informational", "low", "medium", "high", "critical")
"""Sigma's, rising."""
DEFAULT_LEVEL = "medium"
"""Of a rule that says none."""
PLACEHOLDERS = "placeholders.yaml"
"""Name of files with values for the modifier `expand`, among the rules."""
MAX_FILES = 20_000
"""SigmaHQ's collection, all systems, has about 4,000."""


class Logsource(NamedTuple):
    """Sigma's `logsource`; empty where the rule says nothing."""

    category: str = ""
    product: str = ""
    service: str = ""
    definition: str = ""
    """What the rule's author says must be set up; audit rules with their keys among it."""

    def __str__(self) -> str:
        return "/".join(part for part in (self.product, self.category, self.service) if part)


@dataclass(frozen=True, slots=True)
class Rule:
    """One Sigma rule that was read without a problem."""

    id: str
    """Its uuid; of a rule without one a uuid made of its title."""
    title: str
    level: str
    """One of LEVELS."""
    status: str
    """`stable`, `test`, `experimental` …; empty when not said."""
    description: str
    author: str
    tags: tuple[str, ...]
    """As written: `attack.t1059.004`."""
    references: tuple[str, ...]
    falsepositives: tuple[str, ...]
    logsource: Logsource
    condition: Node
    """All conditions of the rule, joined by or."""
    version: str
    """First 12 hexadecimal digits of SHA-256 of the file; with filters and placeholders, of these too."""
    path: Path
    line: int
    """Of the document's first line in the file, from 1."""
    name: str = ""
    """By which filters may call it; empty when it has none."""

    @property
    def techniques(self) -> tuple[str, ...]:
        """ATT&CK techniques among the tags: `T1059.004`."""
        return tuple(
            tag[7:].upper()
            for tag in (tag.lower() for tag in self.tags)
            if tag.startswith("attack.t") and tag[8:12].isdecimal()
        )


class RuleProblem(NamedTuple):
    """Why a rule, or something in a file, cannot be used."""

    path: Path
    line: int
    """From 1; 0 when it is about the whole file."""
    text: str
    """The offending text as it stands there, shortened; empty when it is about something that is missing."""
    message: str
    hint: str
    """The way out; may be empty."""
    rule: str = ""
    """Title of the rule, where it was readable."""
    is_refusal: bool = False
    """Right Sigma that Tracehound does not evaluate (correlations); else the file is wrong."""

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else str(self.path)
        return f"{place}: {self.text + ': ' if self.text else ''}{self.message}"


@dataclass(frozen=True, slots=True)
class RuleSet:
    """What reading gave."""

    rules: tuple[Rule, ...] = ()
    """In the order of the paths; ids are unique."""
    problems: tuple[RuleProblem, ...] = ()
    """In the order of files and lines."""

    def by_id(self) -> dict[str, Rule]:
        return {rule.id: rule for rule in self.rules}


def read_rules(paths: Iterable[Path | str]) -> RuleSet:
    """Reads files and, with everything below them, directories (`*.yml`, `*.yaml`, hidden ones passed over).

    Raises UsageError where pySigma is not installed, and nothing for what it reads. Reading 144 rules takes
    about a second and imports pySigma (0.4 s)."""
    from agent.detect.filters import Filter, idle, narrowed

    try:
        from agent.detect.sigma import read_file
    except ModuleNotFoundError as error:
        raise UsageError(f"reading rules needs {error.name}", "pip install 'tracehound[detect]'") from error

    problems: list[RuleProblem] = []
    rules: list[Rule] = []
    filters: list[Filter] = []
    files = _files(paths, problems)
    placeholders = _placeholders([path for path in files if path.name == PLACEHOLDERS], problems)
    for path in files:
        if path.name != PLACEHOLDERS:
            read_file(path, rules, filters, problems, placeholders)
    unique = _unique(rules, problems)
    problems += idle(unique, filters)
    return RuleSet(
        tuple(narrowed(unique, filters)), tuple(sorted(problems, key=lambda p: (str(p.path), p.line)))
    )


def _placeholders(files: Iterable[Path], problems: list[RuleProblem]) -> dict[str, list[str]]:
    """Values for `%name%` of the modifier `expand`, of all such files; of two of a name both count."""
    found: dict[str, list[str]] = {}
    for path in files:
        try:
            for item in documents(read_bytes(path)):
                _add_placeholders(item, found)
        except Unreadable as error:
            problems.append(RuleProblem(path, error.line, error.text, error.message, error.hint))
    return found


def _add_placeholders(item: Item, found: dict[str, list[str]]) -> None:
    hint = "write `name: [value, ...]`"
    if not isinstance(item.value, dict):
        raise Unreadable(item.line, "", "placeholders are a mapping", hint)
    for name, values in item.value.items():
        if not isinstance(values.value, list) or not values.value:
            raise Unreadable(values.line, name, "a placeholder has a list of values", hint)
        found.setdefault(name, []).extend(str(value.plain()) for value in values.value)


def _files(paths: Iterable[Path | str], problems: list[RuleProblem]) -> list[Path]:
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        for file in _below(path, problems) if path.is_dir() else [path]:
            if len(found) >= MAX_FILES:
                hint = "name fewer directories"
                problems.append(
                    RuleProblem(path, 0, "", f"more than {MAX_FILES:,} files; the rest is not read", hint)
                )
                return list(found)
            found[file] = None
    return list(found)


def _below(directory: Path, problems: list[RuleProblem]) -> Sequence[Path]:
    """Rule files below a directory."""

    def failed(error: OSError) -> None:
        place = Path(os.fsdecode(error.filename or directory))
        problems.append(
            RuleProblem(place, 0, "", f"cannot be read: {error.strerror}", "check its permissions")
        )

    return rule_files(directory, failed, MAX_FILES)


def _unique(rules: list[Rule], problems: list[RuleProblem]) -> tuple[Rule, ...]:
    """Rules with ids of their own: the first one keeps an id; copies of it are dropped, others told."""
    first: dict[str, Rule] = {}
    for rule in rules:
        holder = first.setdefault(rule.id, rule)
        if holder is rule or (holder.version, holder.line) == (rule.version, rule.line):
            continue
        where = f"{holder.path}:{holder.line}"
        hint = "give the copy an id of its own (uuidgen), or remove one of the two"
        problems.append(
            RuleProblem(
                rule.path, rule.line, f"id: {rule.id}", f"the rule in {where} has this id", hint, rule.title
            )
        )
    return tuple(first.values())
