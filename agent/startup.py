# SPDX-License-Identifier: Apache-2.0
"""Processes that were there before us: identities from the kernel's task iterator, the rest from /proc."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence

from agent.decode.header import KIND_TASK
from agent.decode.task import decode_tasks
from agent.enrich.containers import read_process_cgroup
from agent.enrich.describe import Describer, ExecDetail, flag_words
from agent.enrich.process import Process, is_same
from agent.enrich.procfs import Inode, ProcEntry, read_inode, read_process, read_status, started_at
from agent.enrich.registry import Registry
from agent.enrich.text import to_text
from agent.enrich.tree import ProcessTree
from agent.events import (
    CWD_UNREACHABLE,
    EXECED,
    IN_INIT_TREE,
    KERNEL_THREAD,
    Credentials,
    Exec,
    Head,
    Task,
    TaskFacts,
)
from agent.log.clock import WallClock
from agent.log.encode import Encoder
from agent.log.records import Line

ASK_PAUSE_S = 0.05
"""The kernel lists all processes for an answer; after losses there may be many questions, in seconds."""


def adopt_existing(
    tasks: Sequence[Task],
    tree: ProcessTree,
    describe: Describer,
    clock: WallClock,
    *,
    environment: bool,
    registry: Registry | None = None,
) -> list[tuple[Process, Exec, ExecDetail]]:
    """Puts all tasks into the tree; returns them, parents before children, with what /proc knows of them."""
    ordered = sorted(tasks, key=lambda task: task.head.image_ktime)
    fresh = [task for task in ordered if tree.adopt(task.head).binary == ""]
    tree.link(task.head for task in fresh)
    hidden = _hidden_parents(tree)
    tree.link(task.head for task in hidden)
    found = []
    for task in [*hidden, *fresh]:
        process = tree.adopt(task.head)
        entry = read_process(task.head.tgid, environment=environment)
        event = _as_exec(task, entry)
        detail = describe(process, event)
        _finish(process, entry, event)
        if registry is not None:
            named = describe.container(detail.cgroup)
            registry.settle(process, task.facts.cgroup_id, named, task.head.nspid)
        process.start_time = clock.text(task.head.image_ktime)
        found.append((process, event, detail))
    return found


def _hidden_parents(tree: ProcessTree) -> list[Task]:
    """Processes that others name as their parent and the iterator does not show: a kernel can be made to keep
    some to itself. /proc knows less of them: no namespaces, and no cgroup but by its path."""
    newest = {process.tgid: process.image_ktime for process in tree.living.values()}
    found = []
    for process in tree.living.values():
        if process.words != "unknown" or not started_at(process.tgid, process.image_ktime):
            continue
        status = read_status(process.tgid)
        if status is not None:
            stamp, above = process.image_ktime, newest.get(status.parent, 0)
            parent = status.parent if above or not status.parent else 0
            head = Head(
                KIND_TASK, EXECED, stamp, process.tgid, process.tgid, stamp, parent, status.nspid, above
            )
            credentials = Credentials._make((*status.ids, *status.capabilities, 0))
            found.append(Task(head, TaskFacts(credentials, status.auid, (), 0, status.sid, status.pgid, b"")))
    return sorted(found, key=lambda task: task.head.image_ktime)


def lines_of(
    adopted: Sequence[tuple[Process, Exec, ExecDetail]], encoder: Encoder, clock: WallClock
) -> list[Line]:
    """process_exec lines flagged `procFS`, so that a reader of this log knows every living process."""
    return [
        encoder.exec(process, event, detail, clock.text(event.head.ktime_ns))
        for process, event, detail in adopted
    ]


def describe_unknown(process: Process) -> None:
    """Best effort for an image whose exec record was lost: what /proc says now, if it still lives. Another
    process of the same pid is told apart by its start."""
    if not started_at(process.tgid, process.image_ktime):
        return
    entry = read_process(process.tgid)
    process.binary = to_text(entry.exe or entry.comm)[0]
    process.cwd = to_text(entry.cwd)[0]


class KernelsWord:
    """Parents of processes whose fork or exec record was lost, for as long as they live: the task iterator's
    answer, asked for at most once in ASK_PAUSE_S."""

    def __init__(self, existing_tasks: Callable[[], bytes]) -> None:
        self._existing_tasks = existing_tasks
        self._heads: dict[int, Head] = {}
        self._asked_s = float("-inf")

    def parent_of(self, process: Process) -> tuple[int, int] | None:
        """Identity of the parent's image; None when the process is gone."""
        if time.monotonic() - self._asked_s >= ASK_PAUSE_S:
            self._heads = {task.head.tgid: task.head for task in decode_tasks(self._existing_tasks())}
            self._asked_s = time.monotonic()
        head = self._heads.get(process.tgid)
        if head is None or not is_same(head.image_ktime, process.image_ktime):
            return None
        return head.parent_tgid, head.parent_ktime


def _as_exec(task: Task, entry: ProcEntry) -> Exec:
    """/proc's knowledge in the shape of an exec record."""
    name = entry.exe or entry.cmdline.split(b"\0")[0] or entry.comm
    inode = read_inode(task.head.tgid) if entry.deleted else Inode(0, 0, 1)
    cgroup = read_process_cgroup(task.head.tgid)
    return Exec(
        head=task.head,
        facts=task.facts,
        inode_number=inode.number,
        inode_device=inode.device,
        inode_links=inode.links,
        argc=0,
        filename=name,
        cgroup=os.fsencode(cgroup.name) if cgroup else b"",
        exe=name,
        cwd=entry.cwd,
        arguments=entry.cmdline,
        environment=entry.environ,
        missing=(),
    )


def _finish(process: Process, entry: ProcEntry, event: Exec) -> None:
    """Tetragon's words for such a process; an ancestor in the init tree puts it there too."""
    parent = process.parent
    if parent is not None and parent.flags & IN_INIT_TREE and process.tgid:
        process.flags |= IN_INIT_TREE
    process.binary = to_text(event.filename)[0]
    flags = process.flags & IN_INIT_TREE
    if not entry.cwd and not event.head.flags & KERNEL_THREAD:
        flags |= CWD_UNREACHABLE
    process.words = flag_words(flags, process.cwd == "/", "procFS")
