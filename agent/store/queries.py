# SPDX-License-Identifier: Apache-2.0
"""Questions to a log directory: whose child was it, what did it do, who ran this, who talked to that.

    store = Store("/var/lib/tracehound/log")
    for exec_id in find(store, pid=4711, at_ns=…):
        print(tree(store, exec_id), timeline(store, exec_id))

Compacted segments and live lines are one; no agent has to run, and none is waited for. What the index of
processes does not have is read line by line, and the answer says so. Times are wall-clock nanoseconds; every
function raises LogUnavailable when the directory cannot be read and NotFound when the log does not know what
was asked for.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from agent.errors import LogUnavailable, UsageError
from agent.log.reader import LogReader
from agent.store.answers import Connections, Executions, Happening, Process, Timeline, Tree
from agent.store.coverage import Coverage, coverage_of
from agent.store.happenings import happening_of
from agent.store.layout import compacted_segments
from agent.store.lineage import IndexUnusable, Lineage, consistent
from agent.store.live import Live, Progress, read_live
from agent.store.processes import Known, Processes, link, note_replaced
from agent.store.records import Problems, Wanted, find_records

Answer = TypeVar("Answer")
MOST_PROCESSES = 250_000
MOST_HAPPENINGS = 200_000
_END = 1 << 62
_NO_INDEX = frozenset[str]()


class NotFound(UsageError):
    """The log does not know what was asked for."""


class Store:
    """A log directory to ask. `progress` gets segments read and segments to read, for long searches."""

    def __init__(self, log_dir: str | os.PathLike[str], progress: Progress | None = None) -> None:
        self.log_dir = Path(log_dir)
        self.progress = progress
        try:
            self.compacted = compacted_segments(self.log_dir)
        except OSError as error:
            raise LogUnavailable(f"cannot read the store in {self.log_dir}: {error.strerror}") from error
        if not self.compacted:
            LogReader(self.log_dir).last(1)  # says what is wrong with a directory that cannot be read

    def ask(self, question: Callable[[Processes, Coverage], Answer]) -> Answer:
        """Puts a question to one state of the log."""
        notes: list[str] = []
        try:
            return consistent(self.log_dir, lambda lineage: self._answer(question, lineage, notes))
        except IndexUnusable as error:
            if self.compacted:
                notes.append(f"{error}: all segments were read instead")
            return self._answer(question, None, notes)

    def _answer(
        self, question: Callable[[Processes, Coverage], Answer], lineage: Lineage | None, notes: list[str]
    ) -> Answer:
        known = (
            frozenset(segment.name for segment in lineage.segments()) if lineage is not None else _NO_INDEX
        )
        problems: list[str] = []
        live = self._live(known, problems)
        return question(
            Processes(self.log_dir, live, lineage), coverage_of(lineage, live, [*notes, *problems])
        )

    def _live(self, known: frozenset[str], problems: list[str]) -> Live:
        try:
            return read_live(self.log_dir, known, self.progress, problems)
        except OSError as error:
            raise LogUnavailable(f"cannot read the log in {self.log_dir}: {error.strerror}") from error


def find(
    store: Store,
    *,
    exec_id: str = "",
    pid: int | None = None,
    at_ns: int | None = None,
    pod: str = "",
    container: str = "",
    path: str = "",
    address: str = "",
    since_ns: int = 0,
    until_ns: int = _END,
) -> list[str]:
    """exec_ids of what was named by one of the first keywords, oldest first.

    Of a pid: the first image of the process that had it at `at_ns` (default: the newest one). Of a pod
    (`namespace/name`) or container (at least the first 8 characters of its id): its processes whose parent is
    not in it. Of a file or an address: the processes that ran or touched it, or talked to it.
    """
    if path or address:
        return _who_touched(store, path, address, since_ns, until_ns)

    def look(processes: Processes, coverage: Coverage) -> list[str]:
        if exec_id:
            found = [known] if (known := processes.get(exec_id)) else []
        elif pid is not None:
            found = [_with_pid(processes, coverage, pid, at_ns)]
        else:
            found = _tops(processes, _members(processes, pod, container), since_ns, until_ns)
        return [known.process.exec_id for known in found]

    return store.ask(look) or _refuse(store, exec_id or pod or container)


def tree(
    store: Store,
    exec_id: str,
    *,
    since_ns: int = 0,
    until_ns: int = _END,
    ancestors: bool = True,
    descendants: bool = True,
    most: int = MOST_PROCESSES,
) -> Tree:
    """A process with its ancestors and descendants; of these only the ones that lived in the period, and
    those above them. Whoever is in a container or not does not matter: processes enter and leave them."""

    def look(processes: Processes, coverage: Coverage) -> Tree:
        return _tree(
            processes, coverage, exec_id, (since_ns, until_ns), ancestors, most if descendants else 0
        )

    return store.ask(look)


def timeline(
    store: Store, exec_id: str, *, since_ns: int = 0, until_ns: int = _END, most: int = MOST_HAPPENINGS
) -> Timeline:
    """Everything that a process and its descendants did."""
    problems = Problems()

    def look(processes: Processes, coverage: Coverage) -> tuple[Tree, frozenset[str], Coverage]:
        made = _tree(processes, coverage, exec_id, (since_ns, until_ns), True, MOST_PROCESSES)
        life = _life(made)
        window = max(life[0], since_ns), min(life[1], until_ns)
        return made, _outside(processes.lineage, *window), coverage

    made, skip, coverage = store.ask(look)
    life = _life(made)
    ids = frozenset(process.exec_id for _, process, _ in made.walk())
    first, last = max(life[0] - 1, since_ns), min(life[1], until_ns)
    wanted = Wanted("exec_id", ids, first, last, skip)
    happenings, more = _happenings(find_records(store.log_dir, wanted, problems, store.progress), most)
    made.completeness = replace(coverage.within(first, last), notes=(*made.completeness.notes, *problems))
    return Timeline(made, happenings, more)


def executions(
    store: Store, binary: str, *, since_ns: int = 0, until_ns: int = _END, most: int = MOST_PROCESSES
) -> Executions:
    """Who ran a program: an absolute path, a pattern with `*?[`, or the last part of a path."""

    def look(processes: Processes, coverage: Coverage) -> Executions:
        found, left_out = processes.ran(_binaries(processes, binary), since_ns, until_ns, most)
        processes.load_parents(found)
        for known in found:
            above = processes.parent(known)
            if above is not None:
                known.process.parent_exec_id = above.process.exec_id
        return Executions([known.process for known in found], coverage.within(since_ns, until_ns), left_out)

    return store.ask(look)


def connections(
    store: Store,
    *,
    address: str = "",
    path: str = "",
    since_ns: int = 0,
    until_ns: int = _END,
    most: int = MOST_HAPPENINGS,
) -> Connections:
    """Events with a peer's address, or with a file's path."""
    problems = Problems()
    column, value = ("address", address) if address else ("path", path)

    def before(processes: Processes, coverage: Coverage) -> tuple[frozenset[str], Coverage]:
        return _outside(processes.lineage, since_ns, until_ns), coverage

    skip, coverage = store.ask(before)
    wanted = Wanted(column, frozenset((value,)), since_ns, until_ns, skip)
    happenings, more = _happenings(find_records(store.log_dir, wanted, problems, store.progress), most)

    def name(processes: Processes, coverage: Coverage) -> dict[str, Process]:
        ids = {one.exec_id for one in happenings}
        return {one: known.process for one in ids if (known := processes.get(one))}

    completeness = coverage.within(since_ns, until_ns)
    return Connections(
        happenings, store.ask(name), replace(completeness, notes=(*completeness.notes, *problems)), more
    )


def _tree(
    processes: Processes,
    coverage: Coverage,
    exec_id: str,
    period: tuple[int, int],
    ancestors: bool,
    most: int,
) -> Tree:
    root = processes.get(exec_id)
    if root is None:
        raise NotFound(
            f"no process with exec_id {exec_id} is in the log", "`tracehound events -o wide` shows exec_ids"
        )
    pairs, left_out = processes.below(root, most) if most else ([], 0)
    link(_in_period(pairs, period))
    if not most:
        processes.note_successor(root)
    above = processes.ancestors(root) if ancestors else []
    for parent, child in zip(above, [root, *above], strict=False):
        child.process.parent_exec_id = parent.process.exec_id
        note_replaced(parent.process, child.process)
    made = Tree(
        root.process, [_alone(known.process) for known in reversed(above)], coverage.within(0, 0), left_out
    )
    life = _life(made)
    made.completeness = coverage.within(max(life[0], period[0]), min(life[1], period[1]))
    return made


def _alone(process: Process) -> Process:
    """Without children: an ancestor in an answer."""
    process.children = []
    return process


def _in_period(pairs: list[tuple[Known, Known]], period: tuple[int, int]) -> list[tuple[Known, Known]]:
    """Descendants that lived in the period, and whoever stands between them and the root."""
    since, until = period
    if since <= 0 and until >= _END:
        return pairs
    kept: set[int] = set()
    chosen = []
    for parent, child in reversed(pairs):
        process = child.process
        lived = process.start_ns <= until and (not process.end_ns or process.end_ns >= since)
        if lived or id(child) in kept:
            kept.add(id(parent))
            chosen.append((parent, child))
    return chosen[::-1]


def _life(tree: Tree) -> tuple[int, int]:
    """From the root's start to the last exit; without an end as long as one runs."""
    last = 0
    for _, process, _ in tree.walk():
        if process.state == "running":
            return tree.root.start_ns, _END
        last = max(last, process.end_ns)
    return tree.root.start_ns, last or _END


def _with_pid(processes: Processes, coverage: Coverage, pid: int, at_ns: int | None) -> Known:
    found = processes.with_pid(pid)
    if not found:
        raise NotFound(
            f"no process with pid {pid} is in the log", "`tracehound executions` lists who ran what"
        )
    chosen = found[-1] if at_ns is None else _alive_at(found, coverage, at_ns)
    while chosen.process.replaces and (above := processes.parent(chosen)) and above.process.pid == pid:
        if above.process.exec_id == chosen.process.exec_id:
            break
        chosen = above
    return chosen


def _alive_at(found: list[Known], coverage: Coverage, at_ns: int) -> Known:
    """The last image that began before, provided that it had not ended by then."""
    from agent.log.times import format_time

    moment, pid = format_time(at_ns), found[0].process.pid
    before = [known for known in found if known.process.start_ns <= at_ns]
    if not before:
        first = format_time(found[0].process.start_ns)
        raise NotFound(f"pid {pid} was not in use at {moment}", f"its first process began at {first}")
    process = before[-1].process
    booted = next((at for at in coverage.reboots if process.start_ns < at <= at_ns), 0)
    end = process.end_ns or booted
    if end and end < at_ns:
        following = found[len(before)].process.start_ns if len(before) < len(found) else 0
        more = f", the next one began at {format_time(following)}" if following else ""
        raise NotFound(
            f"pid {pid} was not in use at {moment}", f"its process before ended at {format_time(end)}{more}"
        )
    return before[-1]


def _members(processes: Processes, pod: str, container: str) -> list[Known]:
    if pod:
        namespace, _, name = pod.partition("/")
        return [one for one in processes.where("pod", [name]) if one.process.namespace == namespace]
    ids = processes.starting_with("container", container)
    return processes.where("container", ids)


def _tops(processes: Processes, members: list[Known], since_ns: int, until_ns: int) -> list[Known]:
    """Those whose parent is none of them."""
    ids = {known.process.exec_id for known in members}
    tops = []
    for known in members:
        process = known.process
        above = processes.parent(known)
        if above is not None and above.process.exec_id in ids:
            continue
        if process.start_ns <= until_ns and (not process.end_ns or process.end_ns >= since_ns):
            tops.append(known)
    return tops


def _who_touched(store: Store, path: str, address: str, since_ns: int, until_ns: int) -> list[str]:
    found = connections(store, path=path, address=address, since_ns=since_ns, until_ns=until_ns)
    ids = dict.fromkeys(one.exec_id for one in found.happenings if one.exec_id)
    if path:
        ran = executions(store, path, since_ns=since_ns, until_ns=until_ns)
        ids |= dict.fromkeys(process.exec_id for process in ran.processes)
    return list(ids) or _refuse(store, path or address)


def _refuse(store: Store, what: str) -> list[str]:
    raise NotFound(f"no process with {what} is in the log", "`tracehound query` shows what there is")


def _binaries(processes: Processes, binary: str) -> list[str]:
    if any(mark in binary for mark in "*?["):
        return processes.matching("binary", binary)
    return (
        [binary]
        if binary.startswith("/")
        else [*processes.matching("binary", f"*/{_literal(binary)}"), binary]
    )


def _literal(text: str) -> str:
    """A text for GLOB that stands for itself."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in text)


def _happenings(records: Iterator[dict[str, Any]], most: int) -> tuple[list[Happening], int]:
    """The newest, in order of time, which is nearly that of the log; and how many older ones there are."""
    kept: deque[dict[str, Any]] = deque(maxlen=most)
    count = 0
    for record in records:
        kept.append(record)
        count += 1
    found = sorted(map(happening_of, kept), key=lambda one: (one.time_ns, one.sequence))
    return found, count - len(found)


def _outside(lineage: Lineage | None, from_ns: int, to_ns: int) -> frozenset[str]:
    """Segments of the index that hold nothing of a period."""
    if lineage is None:
        return _NO_INDEX
    return frozenset(
        one.name
        for one in lineage.segments()
        if one.first_ns and one.last_ns and (one.last_ns < from_ns or one.first_ns > to_ns)
    )
