# SPDX-License-Identifier: Apache-2.0
"""Several timelines as one: a pod's or a container's processes, or all that touched a file or an address."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Sequence

from agent.store.answers import Completeness, Process, Timeline, Tree


def joined(name: str, timelines: Sequence[Timeline]) -> Timeline:
    """One tree below a stand-in called `name`, with the ancestors in it that lead to each root.

    A process or a happening that stands in several of them is told once. `timelines` is not empty.
    """
    forest = _Forest()
    for one in timelines:
        forest.add(one.tree)
    told = _together([one.tree.completeness for one in timelines])
    above = Process("", 0, binary=name, recorded=False, children=forest.tops())
    above.start_ns = min((child.start_ns for child in above.children if child.start_ns), default=0)
    found = {(row.sequence, row.time_ns, row.type): row for one in timelines for row in one.happenings}
    return Timeline(
        Tree(above, [], told, sum(one.tree.truncated for one in timelines)),
        sorted(found.values(), key=lambda row: (row.time_ns, row.sequence)),
        sum(one.truncated for one in timelines),
    )


class _Forest:
    """Processes by exec_id, each below one other; what was given is not changed."""

    def __init__(self) -> None:
        self._processes: dict[str, Process] = {}
        self._above: dict[str, str] = {}

    def add(self, tree: Tree) -> None:
        for parent, child in itertools.pairwise([*tree.ancestors, tree.root]):
            self._link(parent, child)
        self._copy(tree.root)
        for _, process, _ in tree.walk():
            for child in process.children:
                self._link(process, child)

    def tops(self) -> list[Process]:
        """Those that stand below nobody, oldest first; all children are in order afterwards."""
        for process in self._processes.values():
            process.children.sort(key=lambda child: child.start_ns)
        tops = [one for exec_id, one in self._processes.items() if exec_id not in self._above]
        return sorted(tops, key=lambda one: one.start_ns)

    def _link(self, parent: Process, child: Process) -> None:
        above, below = self._copy(parent), self._copy(child)
        if child.exec_id not in self._above and not self._is_above(child.exec_id, parent.exec_id):
            self._above[child.exec_id] = parent.exec_id
            above.children.append(below)

    def _is_above(self, exec_id: str, other: str) -> bool:
        """Whether `other` stands below `exec_id`: then they must not be linked the other way round."""
        while other:
            if other == exec_id:
                return True
            other = self._above.get(other, "")
        return False

    def _copy(self, process: Process) -> Process:
        if process.exec_id not in self._processes:
            self._processes[process.exec_id] = dataclasses.replace(process, children=[])
        return self._processes[process.exec_id]


def _together(all_told: Sequence[Completeness]) -> Completeness:
    """What they cover in common, and whatever one of them may miss."""
    return dataclasses.replace(
        all_told[0],
        from_ns=max(one.from_ns for one in all_told),
        to_ns=min(one.to_ns for one in all_told),
        losses=_once(loss for one in all_told for loss in one.losses),
        gaps=sorted({gap for one in all_told for gap in one.gaps}),
        reboots=sorted({moment for one in all_told for moment in one.reboots}),
        notes=list(dict.fromkeys(note for one in all_told for note in one.notes)),
    )


def _once(losses: Iterable[dict[str, object]]) -> list[dict[str, object]]:
    """Each content once; they hold texts and numbers."""
    return list({repr(sorted(loss.items(), key=lambda item: item[0])): loss for loss in losses}.values())
