# SPDX-License-Identifier: Apache-2.0
"""The processes of index and live tail as one: who had a pid, whose children there are, how sure that is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path

from agent.store.answers import Process
from agent.store.lineage import Lineage, Row
from agent.store.live import Live

SHORTEST = 8
"""Characters of a container's id that are needed to name it."""


@dataclass(slots=True)
class Known:
    """A process with what its record does not show."""

    process: Process
    row: int | None = None
    """Its number in the index."""
    parent_row: int | None = None
    boot: int = 0
    """Of the index; larger is later. 0: known from live lines alone."""
    first_sequence: int = 0
    last_sequence: int = 0


@dataclass(slots=True)
class Processes:
    """Looks processes up by exec_id and by the numbers of the index, and puts together what both tell."""

    log_dir: Path
    live: Live
    lineage: Lineage | None = None
    _known: dict[str, Known] = field(default_factory=dict)
    _by_row: dict[int, Known] = field(default_factory=dict)

    def get(self, exec_id: str) -> Known | None:
        """The process; None when neither tells of it."""
        known = self._known.get(exec_id)
        if known is not None:
            return known
        row = self.lineage.by_exec_id(exec_id) if self.lineage is not None else None
        if row is not None:
            return self._take(row)
        return self._from_live(exec_id)

    def with_pid(self, pid: int) -> list[Known]:
        """All processes that had the pid, by their start."""
        rows = self.lineage.by_pid(pid) if self.lineage is not None else []
        return self._with_live(rows, lambda process: process.pid == pid)

    def where(self, column: str, texts: list[str]) -> list[Known]:
        """All whose `binary`, `container`, `namespace` or `pod` is one of the texts, by their start."""
        rows = self.lineage.by_word(column, texts) if self.lineage is not None else []
        wanted = frozenset(texts)
        return self._with_live(rows, lambda process: getattr(process, column) in wanted)

    def ran(self, texts: list[str], since_ns: int, until_ns: int, most: int) -> tuple[list[Known], int]:
        """The oldest executions that began in a period, and how many were left out."""
        wanted = frozenset(texts)

        def counts(process: Process | None) -> bool:
            if process is None or not process.recorded or process.binary not in wanted:
                return False
            return since_ns <= process.start_ns <= until_ns

        rows: list[Row] = []
        count = 0
        if self.lineage is not None:
            rows, count = self.lineage.ran(texts, since_ns, until_ns, most)
        found = [self._take(row) for row in rows]
        for exec_id, process in self.live.processes.items():
            if process.binary not in wanted:
                continue
            row = self.lineage.by_exec_id(exec_id) if self.lineage is not None else None
            known = self.get(exec_id)
            if known is not None and not (row and counts(row.process)) and counts(known.process):
                found.append(known)
                count += 1
        found.sort(key=lambda one: one.process.start_ns)
        return found[:most], count - len(found[:most])

    def load_parents(self, children: Iterable[Known]) -> None:
        """Read the parents of many in one go."""
        missing = {one.parent_row for one in children if one.parent_row is not None} - self._by_row.keys()
        if self.lineage is not None and missing:
            for row in self.lineage.by_ids(sorted(missing)):
                self._take(row)

    def _with_live(self, rows: list[Row], test: Callable[[Process], bool]) -> list[Known]:
        found = {row.id: self._take(row) for row in rows}
        known = {one.process.exec_id for one in found.values()}
        for exec_id, process in self.live.processes.items():
            if test(process) and exec_id not in known and (live := self.get(exec_id)) is not None:
                found[-len(found) - 1] = live
        return sorted(found.values(), key=lambda one: one.process.start_ns)

    def matching(self, column: str, pattern: str) -> list[str]:
        """Values of a column that match a pattern with `*?[`."""
        words = self.lineage.words("text GLOB ?", pattern) if self.lineage is not None else []
        found = {getattr(process, column) for process in self.live.processes.values()}
        return list({*words, *(text for text in found if fnmatchcase(text, pattern))})

    def starting_with(self, column: str, text: str) -> list[str]:
        """Values of a column that begin with a text, or that are the beginning of it: runtimes and events
        name containers by prefixes of different length."""
        escaped = text[:SHORTEST].replace("!", "!!").replace("%", "!%").replace("_", "!_")
        words = (
            self.lineage.words("text LIKE ? ESCAPE '!'", f"{escaped}%") if self.lineage is not None else []
        )
        found = {*words, *(getattr(process, column) for process in self.live.processes.values())}
        return [
            one for one in found if len(one) >= SHORTEST and (one.startswith(text) or text.startswith(one))
        ]

    def parent(self, known: Known) -> Known | None:
        """Its parent, or the image that it replaced."""
        if known.parent_row is not None and self.lineage is not None:
            above = self._by_row.get(known.parent_row)
            if above is None:
                rows = self.lineage.by_ids([known.parent_row])
                above = self._take(rows[0]) if rows else None
            if above is not None:
                return above
        return self.get(known.process.parent_exec_id) if known.process.parent_exec_id else None

    def ancestors(self, known: Known) -> list[Known]:
        """Nearest first; ends where it would go round."""
        line: list[Known] = []
        seen = {known.process.exec_id}
        above = self.parent(known)
        while above is not None and above.process.exec_id not in seen:
            seen.add(above.process.exec_id)
            line.append(above)
            above = self.parent(above)
        return line

    def below(self, root: Known, most: int) -> tuple[list[tuple[Known, Known]], int]:
        """(parent, child) for all descendants, generation by generation, and how many were left out."""
        pairs: list[tuple[Known, Known]] = []
        seen = {root.process.exec_id}
        generation, left_out = [root], 0
        while generation and not left_out:
            following: list[Known] = []
            for parent, child in self._children(generation):
                if child.process.exec_id in seen:
                    continue
                seen.add(child.process.exec_id)
                if len(pairs) >= most:
                    left_out += 1
                    continue
                pairs.append((parent, child))
                following.append(child)
            generation = following
        return pairs, left_out

    def note_successor(self, known: Known) -> None:
        """Note the next image of a process whose children are not asked for."""
        for _, child in self._children([known]):
            note_replaced(known.process, child.process)

    def _children(self, parents: list[Known]) -> Iterable[tuple[Known, Known]]:
        by_row = {known.row: known for known in parents if known.row is not None}
        if self.lineage is not None and by_row:
            for row in self.lineage.children(list(by_row)):
                yield by_row[row.parent or 0], self._take(row)
        if not self.live.children:
            return
        for parent in parents:
            for exec_id in self.live.children.get(parent.process.exec_id, ()):
                child = self.get(exec_id)
                if child is not None:
                    yield parent, child

    def _take(self, row: Row) -> Known:
        known = self._by_row.get(row.id)
        if known is None:
            process = row.process
            known = Known(process, row.id, row.parent, row.boot, row.first_sequence, row.last_sequence)
            self._by_row[row.id] = known
            newer = self._known.get(process.exec_id)
            if newer is None or newer.boot <= known.boot:
                self._known[process.exec_id] = known
                self._add_live(known)
        return known

    def _from_live(self, exec_id: str) -> Known | None:
        process = self.live.processes.get(exec_id)
        if process is None:
            return None
        first, last = self.live.sequences.get(exec_id, (0, 0))
        known = self._known[exec_id] = Known(replace(process, children=[]), None, None, 0, first, last)
        return known

    def _add_live(self, known: Known) -> None:
        """What happened to a process of the index since."""
        later = self.live.processes.get(known.process.exec_id)
        if later is None:
            return
        process = known.process
        if later.end_ns and not process.end_ns:
            process.end_ns, process.status, process.signal = later.end_ns, later.status, later.signal
            known.last_sequence = self.live.sequences.get(process.exec_id, (0, 0))[1]
        if later.recorded and not process.recorded:
            for name in ("binary", "arguments", "cwd", "user", "start_ns", "recorded", "parent_exec_id"):
                setattr(process, name, getattr(later, name) or getattr(process, name))


def link(pairs: Iterable[tuple[Known, Known]]) -> None:
    """Put children below their parents, oldest first, and note who was replaced."""
    touched: dict[str, Process] = {}
    for parent, child in pairs:
        process = child.process
        process.parent_exec_id = parent.process.exec_id
        parent.process.children.append(process)
        touched[parent.process.exec_id] = parent.process
        note_replaced(parent.process, process)
    for process in touched.values():
        process.children.sort(key=lambda one: (one.start_ns, one.exec_id))


def note_replaced(parent: Process, process: Process) -> None:
    """Whether `process` is the next image of its parent's process."""
    if process.replaces and process.start_ns and not parent.replaced_ns:
        parent.replaced_ns = process.start_ns
