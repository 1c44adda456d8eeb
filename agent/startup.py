# SPDX-License-Identifier: Apache-2.0
"""Processes that were there before us: identities from the kernel's task iterator, the rest from /proc."""

from __future__ import annotations

from collections.abc import Sequence

from agent.enrich.describe import Describer, ExecDetail, flag_words
from agent.enrich.process import Process
from agent.enrich.procfs import ProcEntry, read_process
from agent.enrich.tree import ProcessTree
from agent.events import CWD_UNREACHABLE, IN_INIT_TREE, KERNEL_THREAD, Exec, Task
from agent.log.clock import WallClock
from agent.log.encode import Encoder
from agent.log.records import Line


def adopt_existing(
    tasks: Sequence[Task], tree: ProcessTree, describe: Describer, clock: WallClock, *, environment: bool
) -> list[tuple[Process, Exec, ExecDetail]]:
    """Puts all tasks into the tree; returns them, parents before children, with what /proc knows of them."""
    ordered = sorted(tasks, key=lambda task: task.head.image_ktime)
    fresh = [task for task in ordered if tree.adopt(task.head).binary == ""]
    tree.link(task.head for task in fresh)
    found = []
    for task in fresh:
        process = tree.adopt(task.head)
        entry = read_process(task.head.tgid, environment=environment)
        event = _as_exec(task, entry)
        detail = describe(process, event)
        _finish(process, entry, event)
        process.start_time = clock.text(task.head.image_ktime)
        found.append((process, event, detail))
    return found


def lines_of(
    adopted: Sequence[tuple[Process, Exec, ExecDetail]], encoder: Encoder, clock: WallClock
) -> list[Line]:
    """process_exec lines flagged `procFS`, so that a reader of this log knows every living process."""
    return [
        encoder.exec(process, event, detail, clock.text(event.head.ktime_ns))
        for process, event, detail in adopted
    ]


def describe_unknown(process: Process) -> None:
    """Best effort for an image whose exec record was lost: what /proc says now, if it still lives."""
    entry = read_process(process.tgid)
    if entry.exe or entry.comm:
        process.binary = (entry.exe or entry.comm).decode(errors="replace")
        process.cwd = entry.cwd.decode(errors="replace")


def _as_exec(task: Task, entry: ProcEntry) -> Exec:
    """/proc's knowledge in the shape of an exec record."""
    name = entry.exe or entry.cmdline.split(b"\0")[0] or entry.comm
    return Exec(
        head=task.head,
        facts=task.facts,
        inode_number=0,
        inode_device=0,
        inode_links=1,
        argc=0,
        filename=name,
        cgroup=_cgroup_name(task.head.tgid),
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
    process.binary = event.filename.decode(errors="replace")
    flags = process.flags & IN_INIT_TREE
    if not entry.cwd and not event.head.flags & KERNEL_THREAD:
        flags |= CWD_UNREACHABLE
    process.words = flag_words(flags, process.cwd == "/", "procFS")


def _cgroup_name(pid: int) -> bytes:
    """Last component of the cgroup that names a container; see agent.enrich.containers."""
    try:
        with open(f"/proc/{pid}/cgroup", "rb") as file:
            lines = file.read().splitlines()
    except OSError:
        return b""
    paths = [line.split(b":", 2)[2] for line in lines if line.count(b":") >= 2]
    best = max(paths, key=len, default=b"")
    return best.rstrip(b"/").rpartition(b"/")[2]
