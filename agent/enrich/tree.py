# SPDX-License-Identifier: Apache-2.0
"""The process tree in memory.

Living images stand in one dictionary; exited ones live on only as parents of living ones (by reference), so
memory follows the number of living processes, not of events. Every record carries its image's identity and
its parent's, so a lost record costs details of one process and never joins wrong ones: pids that are used
again have other stamps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from agent.enrich.process import Process, image_key, make_exec_id
from agent.events import EXECED, Exec, Exit, Fork, Head

DEPTH_MOST = 128
"""Longest chain of ancestors kept. A process that executes itself for ever, or a chain of daemons each forked
by the one before, would otherwise grow without end."""
_KEEP_NEAREST = 64
_EVICTED_PART = 64
"""One of so many is forgotten at a time."""
_LOST_MOST = 8
"""How many lost execs of one process are bridged."""


class ProcessTree:
    """Images by identity. `node_name` is part of every exec_id."""

    def __init__(
        self, node_name: str, most: int, when_unknown: Callable[[Process], None] | None = None
    ) -> None:
        self.node = node_name.encode()
        self.most = most
        self._when_unknown = when_unknown
        self.living: dict[int, Process] = {}
        self.evicted = 0
        """Images forgotten because there were more than `most`; what they start later lacks ancestors."""
        self.unknown = 0
        """Images met in a record without their exec or fork having been seen."""
        self.kernel = Process(0, 1, make_exec_id(self.node, 0, 1), None)
        self.kernel.flags = EXECED
        self.kernel.binary = "<kernel>"
        self.kernel.words = "procFS"
        self.kernel.announced = True

    def fork(self, event: Fork, start_time: str, parent: Process | None = None) -> Process:
        """A new thread group: a copy of its parent's description under its own identity. `parent` is given
        when the fork was a while ago, and may have ended since."""
        head = event.head
        parent = parent or self.find(head.parent_tgid, head.parent_ktime)
        source = parent
        process = Process(head.tgid, head.image_ktime, self.exec_id(head), parent)
        if event.creator_tgid:
            source = self.find(event.creator_tgid, event.creator_ktime)
            process.creator = source.exec_id
        process.flags = head.flags & ~EXECED
        process.words = "clone inInitTree" if head.flags & 2 else "clone"
        process.uid, process.auid = source.uid, source.auid
        process.binary, process.arguments, process.cwd = source.binary, source.arguments, source.cwd
        process.container = source.container
        if source.place is not None:
            source.place.born(process, head.nspid)
        process.start_time = start_time
        self._add(process)
        return process

    def exec(self, event: Exec) -> Process:
        """A new image. The image before it (same process) leaves the living; it stays as the parent where the
        kernel says so (exec without a fork between)."""
        head = event.head
        before = self.living.pop(image_key(head.tgid, head.image_ktime - 1), None)
        parent = self.living.get(image_key(head.parent_tgid, head.parent_ktime))
        if parent is None:
            if before is not None and head.parent_tgid == head.tgid:
                parent = before
            elif before is not None and before.parent is not None and self._is(before.parent, head):
                parent = before.parent
            elif head.parent_tgid == head.tgid:  # the image before was not seen, and is over
                parent = self._placeholder(head.tgid, head.parent_ktime)
            else:
                parent = self.find(head.parent_tgid, head.parent_ktime)
        process = Process(head.tgid, head.image_ktime, self.exec_id(head), parent)
        process.flags = head.flags
        if before is not None:
            process.place = before.place
            if parent is not before:
                process.creator = before.creator
        self._add(process)
        return process

    def exit(self, event: Exit) -> Process:
        """The image that ended; it leaves the living."""
        head = event.head
        process = self.living.pop(image_key(head.tgid, head.image_ktime), None)
        if process is None:
            process = self._placeholder(head.tgid, head.image_ktime)
            process.flags = head.flags
        # What was found of an unknown process may be who adopted it; the record says who made it.
        if process.parent is None or (process.words == "unknown" and not self._is(process.parent, head)):
            process.born_of(self.find(head.parent_tgid, head.parent_ktime))
        return process

    def adopt(self, head: Head) -> Process:
        """A process that was there before us (from the task iterator); its parent may come later in the list,
        so parents are linked by `link`."""
        process = self.living.get(image_key(head.tgid, head.image_ktime))
        if process is None:
            process = Process(head.tgid, head.image_ktime, self.exec_id(head), None)
            process.flags = head.flags | EXECED
            self.living[image_key(head.tgid, head.image_ktime)] = process
        return process

    def link(self, heads: Iterable[Head]) -> None:
        """Gives adopted processes their parents."""
        for head in heads:
            process = self.living.get(image_key(head.tgid, head.image_ktime))
            if process is not None and process.parent is None and head.tgid != 0:
                process.born_of(self.find(head.parent_tgid, head.parent_ktime))
        for process in self.living.values():
            process.depth = len(process.ancestors()) + 1

    def find(self, tgid: int, image_ktime: int) -> Process:
        """The image of this identity; a placeholder where nothing is known of it."""
        if tgid == 0:
            return self.kernel
        process = self.living.get(image_key(tgid, image_ktime))
        if process is None:
            process = self._placeholder(tgid, image_ktime)
            if not self._is_over(tgid, image_ktime):
                self._add(process)
        return process

    def sweep(self, alive: Callable[[Process], bool]) -> int:
        """Drops images whose process is gone or runs a later image; needed only after records were lost.
        Returns how many."""
        newest: dict[int, int] = {}
        for process in self.living.values():
            newest[process.tgid] = max(newest.get(process.tgid, 0), process.image_ktime)
        gone = [
            key
            for key, process in self.living.items()
            if process.image_ktime < newest[process.tgid] or not alive(process)
        ]
        for key in gone:
            del self.living[key]
        return len(gone)

    def exec_id(self, head: Head) -> str:
        """exec_id of a record's image."""
        return make_exec_id(self.node, head.tgid, head.image_ktime)

    def _add(self, process: Process) -> None:
        if process.depth > DEPTH_MOST:
            self._shorten(process)
        key = image_key(process.tgid, process.image_ktime)
        if len(self.living) >= self.most and key not in self.living:
            self._evict(process)
        self.living[key] = process

    def _evict(self, newcomer: Process) -> None:
        """Makes room, for several at once because it looks at all: the oldest without living children go, and
        pid 1 never does."""
        needed = {id(process.parent) for process in self.living.values()} | {id(newcomer.parent)}
        others = [key for key, process in self.living.items() if process.tgid != 1]
        spare = [key for key in others if id(self.living[key]) not in needed]
        for key in (spare or others or list(self.living))[
            : max(1, self.most // _EVICTED_PART if spare else 1)
        ]:
            del self.living[key]
            self.evicted += 1

    def _placeholder(self, tgid: int, image_ktime: int) -> Process:
        """An image of which no record was seen. Its parent is known where an earlier image of the process is:
        each exec adds 1 to the stamp."""
        self.unknown += 1
        process = self._unseen(tgid, image_ktime, None)
        for back in range(1, _LOST_MOST + 1):
            before = self.living.pop(image_key(tgid, image_ktime - back), None)
            if before is not None:
                parent = before if before.has_execed else before.parent
                for behind in range(back - 1, -1, -1):
                    parent = process = self._unseen(tgid, image_ktime - behind, parent)
                    process.container, process.place = before.container, before.place
                break
        if self._when_unknown:
            self._when_unknown(process)
        return process

    def _unseen(self, tgid: int, image_ktime: int, parent: Process | None) -> Process:
        process = Process(tgid, image_ktime, make_exec_id(self.node, tgid, image_ktime), parent)
        process.words = "unknown"
        process.flags = EXECED
        return process

    def _is_over(self, tgid: int, image_ktime: int) -> bool:
        """Whether the process is known to run a later image."""
        return any(image_key(tgid, image_ktime + ahead) in self.living for ahead in range(1, _LOST_MOST + 1))

    def _shorten(self, process: Process) -> None:
        """Cuts the middle out of a chain that is too long: the nearest ancestors and the root stay. What is
        cut off goes when nothing else needs it."""
        chain = process.ancestors()
        if len(chain) > _KEEP_NEAREST + 1:
            chain[_KEEP_NEAREST - 1 :] = [chain[_KEEP_NEAREST - 1].cut_copy(chain[-1]), chain[-1]]
            chain[_KEEP_NEAREST - 2].parent = chain[_KEEP_NEAREST - 1]
        for distance, above in enumerate(reversed(chain)):
            above.depth = distance + 1
            above.lineage = None
        process.depth = len(chain) + 1

    @staticmethod
    def _is(process: Process, head: Head) -> bool:
        return process.tgid == head.parent_tgid and process.image_ktime == head.parent_ktime
