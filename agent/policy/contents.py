# SPDX-License-Identifier: Apache-2.0
"""The contents of one hook's maps while its filters are compiled into them."""

from __future__ import annotations

from agent.errors import TracehoundError
from agent.policy.layout import (
    HOOK_FILTERS,
    TABLE,
    index_key,
    pack_set,
)
from agent.policy.model import Problem

MAPS = (
    "tables",
    "integers",
    "ranges",
    "bits",
    "networks",
    "strings_24",
    "strings_120",
    "strings_504",
    "strings_4096",
    "prefixes",
    "postfixes",
    "automaton_bytes",
    "automaton_next",
    "automaton_sets",
    "selectors",
)
"""Maps of a hook that are filled here, as hook.bpf.c calls them; `.rodata.shape` is the shape itself."""
FIXED = {"tables": 1, "automaton_bytes": 256}
"""Entries of maps whose size never changes."""


class PolicyRefused(TracehoundError):
    """Policies go beyond what one hook can hold: write less of what is named, or spread it over other
    hooks."""

    exit_status = 2

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(tell(problem) for problem in problems), problems[0].hint)
        self.problems = problems


def tell(problem: Problem) -> str:
    """One line: `file:line: text`."""
    where = problem.where
    return f"{where.source}:{where.line}: {problem.text}" if where.source else problem.text


class Contents:
    """Map name -> key -> value, and struct filter_table by filter."""

    def __init__(self) -> None:
        self.maps: dict[str, dict[bytes, bytes]] = {name: {} for name in MAPS}
        self._tables = [TABLE.pack(0, 0, bytes(32))] * HOOK_FILTERS

    def table(self, number: int, otherwise: int, start: int = 0, count: int = 0) -> None:
        """Fills the filter's table."""
        self._tables[number] = TABLE.pack(start, count, pack_set(otherwise))

    def append(self, name: str, rows: list[bytes]) -> int:
        """Adds rows to an array map; returns the index of the first."""
        into = self.maps[name]
        start = len(into)
        for at, row in enumerate(rows, start):
            into[index_key(at)] = row
        return start

    @property
    def filter_tables(self) -> list[bytes]:
        """struct filter_table of each filter."""
        return self._tables

    def sizes(self) -> dict[str, int]:
        """Entries that each map should have room for: the next power of two, so that small growth fits."""
        return {name: FIXED.get(name) or room(len(entries)) for name, entries in self.maps.items()}


def room(entries: int) -> int:
    """The next power of two."""
    return 1 << (entries - 1).bit_length() if entries > 1 else 1
