# SPDX-License-Identifier: Apache-2.0
"""The page for those who come from Tetragon names everything that Tetragon has a name for."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLACES = {"flags": "migration/tetragon.md", "values": "migration/tetragon.md", "metrics": "metrics.md"}
THEIRS = configparser.ConfigParser(allow_no_value=True, delimiters=("=",))
THEIRS.optionxform = str  # type: ignore[assignment,method-assign]  # as configparser's manual has it
THEIRS.read(Path(__file__).with_name("tetragon.ini"))


def rows(page: str) -> Iterator[list[str]]:
    """Cells of the tables of a page."""
    for line in (ROOT / "docs" / page).read_text().splitlines():
        if line.startswith("|"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def named(cell: str) -> Iterator[str]:
    """What a cell names; `.x` and `_x` behind a name stand for one with the same beginning."""
    before = ""
    for name in re.findall(r"`([^`]+)`", cell):
        if name[0] in "._":
            yield from (before[: at.start()] + name for at in re.finditer(f"[{name[0]}]", before))
        else:
            before = name
            yield name


@pytest.mark.parametrize("kind", PLACES)
def test_nothing_of_tetragons_is_left_out(kind: str) -> None:
    told = {name for row in rows(PLACES[kind]) for name in named(row[0])}
    assert [name for name in THEIRS[kind] if not any(fnmatch(name, one) for one in told)] == []
