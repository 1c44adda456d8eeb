# SPDX-License-Identifier: Apache-2.0
"""Rules that a command is about, and what is wrong with them, in words."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from agent.cli.arguments import settings_from
from agent.cli.color import Palette
from agent.cli.text import clean
from agent.detect.building import library_dir
from agent.detect.exceptions import Exceptions, read_exceptions
from agent.detect.rules import Rule, RuleProblem, RuleSet, read_rules
from agent.detect.services import Sources
from agent.errors import TracehoundError, UsageError

SUFFIXES = (".yml", ".yaml")


def rules_of(names: Sequence[str]) -> RuleSet:
    """Rules of files and directories, and of the library by id or by the name of their file; no name: the
    library. Raises UsageError for a name that is nothing or holds none, TracehoundError when pySigma is
    missing."""
    paths = [path for name in names or [str(library_dir())] for path in _paths(name)]
    try:
        found = read_rules(paths)
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] in ("sigma", "re2"):
            raise TracehoundError(
                f"rules need the Python package {error.name}, which is missing", "install tracehound[detect]"
            ) from None
        raise
    if not found.rules and not found.problems:
        raise UsageError(f"no rule in {', '.join(names)}", "rules are read from *.yml and *.yaml")
    return found


def good_rules(names: Sequence[str]) -> tuple[Rule, ...]:
    """As `rules_of`; what is wrong is told on standard error. Raises UsageError when nothing is left."""
    found = rules_of(names)
    for problem in found.problems:
        print(f"tracehound: {clean(str(problem))}", file=sys.stderr)
    if not found.rules:
        raise UsageError("no rule that can be used", "`tracehound rules check FILE…` says what is wrong")
    return found.rules


def exceptions_of(names: Sequence[str]) -> Exceptions:
    """Exceptions of files and directories that somebody has named. Raises UsageError for one that is not
    there: the agent's own directory may be absent, a mistyped name must not."""
    for name in names:
        if not Path(name).exists():
            raise UsageError(f"{name}: no such file", "exceptions are files of YAML (docs/detections.md)")
    return read_exceptions(names)


def good_exceptions(names: Sequence[str]) -> Exceptions:
    """The same; what is wrong is told on standard error."""
    found = exceptions_of(names)
    for problem in found.problems:
        print(f"tracehound: {clean(str(problem))}", file=sys.stderr)
    return found


def collected(args: argparse.Namespace) -> Sources:
    """Which lines of logs the settings collect. Raises SettingsError."""
    collect = settings_from(args).settings.collect
    return Sources(collect.files, collect.journal, collect.units)


def problem_lines(problem: RuleProblem, color: Palette) -> Iterator[str]:
    """A problem and the way out."""
    tone, word = (color.warn, "refused") if problem.is_refusal else (color.bad, "wrong")
    yield f"{tone}{word}{color.end} {clean(str(problem))}"
    if problem.hint:
        yield f"      {color.dim}{clean(problem.hint)}{color.end}"


def problem_json(problem: RuleProblem) -> dict[str, Any]:
    """The same for machines."""
    return {
        "file": str(problem.path), "line": problem.line, "text": problem.text, "message": problem.message,
        "hint": problem.hint, "rule": problem.rule, "refused": problem.is_refusal,
    }  # fmt: skip


def aligned(rows: Iterable[Sequence[str]], color: Palette) -> Iterator[str]:
    """Rows as a table, the first one its head; the last column is as wide as it is."""
    cells = [[clean(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for number, row in enumerate(cells):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        yield line if number else f"{color.bold}{line}{color.end}"


def _paths(name: str) -> Iterable[Path]:
    path = Path(name)
    if path.exists():
        return [path]
    library = library_dir()
    found = [one for suffix in SUFFIXES if (one := library / f"{name}{suffix}").is_file()]
    found = found or [one for one in library.glob("*") if one.suffix in SUFFIXES and _has_id(one, name)]
    if not found:
        raise UsageError(
            f"{name}: no such file, and no rule of the library with this id or name",
            "`tracehound rules list` shows the library",
        )
    return found


def _has_id(path: Path, wanted: str) -> bool:
    return f"id: {wanted}" in path.read_text(errors="replace").splitlines()
