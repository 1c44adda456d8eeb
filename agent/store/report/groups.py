# SPDX-License-Identifier: Apache-2.0
"""Happenings counted by what they have in common: one row of a summary each."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any

MOST_PROCESSES = 50
"""Processes named per row; how many there are in all is told."""


@dataclass(slots=True)
class Group:
    """One row."""

    first_ns: int
    """Wall clock of the first and the last one."""
    last_ns: int
    count: int = 0
    words: dict[str, dict[str, int]] = field(default_factory=dict)
    """By column: each text that occurred, and how often."""
    processes: dict[str, int] = field(default_factory=dict)
    """exec_ids, and how often."""

    def columns(self, name: str) -> str:
        """The texts of a column, the most frequent first."""
        found = sorted(self.words.get(name, {}).items(), key=lambda item: -item[1])
        return ", ".join(text for text, _ in found)


class Groups:
    """Rows by key, in the order in which they came up."""

    def __init__(self) -> None:
        self.rows: dict[Hashable, Group] = {}

    def add(self, key: Hashable, time_ns: int, exec_id: str, **words: str | Iterable[str]) -> None:
        """Count one occurrence; `words` are what it adds to the row's columns."""
        row = self.rows.get(key)
        if row is None:
            row = self.rows[key] = Group(time_ns, time_ns)
        row.count += 1
        row.first_ns, row.last_ns = min(row.first_ns, time_ns), max(row.last_ns, time_ns)
        if exec_id:
            row.processes[exec_id] = row.processes.get(exec_id, 0) + 1
        for name, texts in words.items():
            column = row.words.setdefault(name, {})
            for text in [texts] if isinstance(texts, str) else texts:
                if text:
                    column[text] = column.get(text, 0) + 1

    def table(self, *columns: str) -> list[tuple[Hashable, Group, dict[str, Any]]]:
        """All rows, the most frequent first, with the texts of some columns."""
        rows = sorted(self.rows.items(), key=lambda item: (-item[1].count, item[1].first_ns))
        return [(key, row, {name: row.columns(name) for name in columns}) for key, row in rows]
