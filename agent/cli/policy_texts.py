# SPDX-License-Identifier: Apache-2.0
"""Policies' texts and problems, as the sub-commands of `tracehound policy` read and show them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, TextIO

from agent.cli.color import Palette
from agent.cli.text import clean
from agent.configuration.units import human_size
from agent.errors import UsageError
from agent.policy.document import MAX_TEXT_BYTES
from agent.policy.model import Problem


def read_text(name: str) -> str:
    """A file's text; `-` is standard input. Raises UsageError."""
    try:
        data = _standard_input() if name == "-" else _file(Path(name))
        if len(data) > MAX_TEXT_BYTES:
            what = f"{name}: is longer than {MAX_TEXT_BYTES} bytes ({human_size(MAX_TEXT_BYTES)})"
            raise UsageError(what, "split it into several files")
        return data.decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{name}: {error.strerror}", "check the path") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{name}: byte {error.start} is not UTF-8", "save the file as UTF-8") from None


def _standard_input() -> bytes:
    stdin: TextIO | None = sys.stdin
    if stdin is None:
        raise UsageError("-: standard input is closed", "pipe a policy into it")
    return stdin.buffer.read(MAX_TEXT_BYTES + 1)


def _file(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_TEXT_BYTES + 1)


def problem_lines(problem: Problem, color: Palette) -> list[str]:
    """`file:line: error: text (path)` and the way out."""
    where = problem.where
    place = f"{where.source}:{where.line}" if where.line else where.source
    word, tone = ("error", color.bad) if problem.is_error else ("warning", color.warn)
    path = f"{color.dim} ({clean(where.path)}){color.end}" if where.path else ""
    lines = [f"{clean(place)}: {tone}{word}{color.end}: {clean(problem.text)}{path}"]
    return [*lines, f"    {clean(problem.hint)}"] if problem.hint else lines


def problem_json(problem: Problem) -> dict[str, Any]:
    """The same for programs."""
    where = problem.where
    return {
        "file": where.source,
        "line": where.line,
        "path": where.path,
        "severity": "error" if problem.is_error else "warning",
        "text": problem.text,
        "hint": problem.hint,
    }
