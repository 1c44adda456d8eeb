# SPDX-License-Identifier: Apache-2.0
"""The vocabulary between the kernel and the log: what one record of the ring says.

Stamps are nanoseconds of the boot clock (CLOCK_BOOTTIME, it runs on during suspend). An image is one program
in one process, from one exec (or fork) to the next; it is named by (tgid, image_ktime), where image_ktime is
the thread group leader's start_boottime plus self_exec_id, as the kernel keeps both.
"""

from __future__ import annotations

from typing import NamedTuple

FORKED = 1 << 0
IN_INIT_TREE = 1 << 1
PARENT_MISSED = 1 << 2
ARGUMENTS_CUT = 1 << 3
ARGUMENTS_FAULT = 1 << 4
EXE_CUT = 1 << 5
CWD_CUT = 1 << 6
FILENAME_CUT = 1 << 7
EXE_UNREACHABLE = 1 << 8
CWD_UNREACHABLE = 1 << 9
SETUID = 1 << 10
SETGID = 1 << 11
FILECAPS = 1 << 12
ENVIRONMENT_CUT = 1 << 13
KERNEL_THREAD = 1 << 14
PRIVILEGES_KNOWN = 1 << 15
EXECED = 1 << 16
"""Flags of a record header: `enum record_flags` in kprobes/include/wire.h, which says what each means."""


class Head(NamedTuple):
    """What every record begins with: which image, whose child."""

    kind: int
    flags: int
    ktime_ns: int
    """When it happened, boot clock."""
    tgid: int
    tid: int
    image_ktime: int
    parent_tgid: int
    nspid: int
    """Pid in the innermost pid namespace, 0 in the host's."""
    parent_ktime: int
    """image_ktime of the parent image; after an exec without a fork that is the image before."""


class Credentials(NamedTuple):
    """Ids and capability masks of a task. The first eight are in the order of `tracehound.cred`."""

    uid: int
    gid: int
    euid: int
    egid: int
    suid: int
    sgid: int
    fsuid: int
    fsgid: int
    permitted: int
    effective: int
    inheritable: int
    ambient: int
    securebits: int


class TaskFacts(NamedTuple):
    """What is read of a task, at exec and by the iterator alike."""

    credentials: Credentials
    auid: int
    """Audit login uid, 4294967295 when unset."""
    ns: tuple[int, ...]
    """Namespace inums in the order of Tetragon's `ns` object; 0 where the kernel has no such namespace."""
    cgroup_id: int
    sid: int
    pgid: int
    tty: bytes
    """Name of the controlling terminal, empty when there is none."""


class Exec(NamedTuple):
    """A process executed a program."""

    head: Head
    facts: TaskFacts
    inode_number: int
    inode_device: int
    """Kernel form: major << 20 | minor."""
    inode_links: int
    """0 for deleted files and memfds."""
    argc: int
    filename: bytes
    """As given to execve."""
    cgroup: bytes
    """Name of the task's cgroup (last component of its path)."""
    exe: bytes
    """Resolved path inside the process's root."""
    cwd: bytes
    arguments: bytes
    """The argument area: strings that end with NUL."""
    environment: bytes
    """The environment area, empty unless asked for."""
    missing: tuple[str, ...]
    """Parts that did not arrive whole: `arguments`, `environment`."""


class Fork(NamedTuple):
    """A thread group was created."""

    head: Head
    creator_tgid: int
    """Who called clone where that is not the parent, else 0."""
    creator_ktime: int


class Exit(NamedTuple):
    """The last thread of a process ended."""

    head: Head
    code: int
    """As wait(2) gives it: signal in the low 7 bits, exit status in bits 8 to 15."""


class Task(NamedTuple):
    """A process that was there when the agent started."""

    head: Head
    facts: TaskFacts


class HookMatch(NamedTuple):
    """A selector of a policy that a call matched (struct match)."""

    selector: int
    """Its bit in the hook's sets."""
    actions: int
    """enum action_flags: what the policy asked for, and what became of it."""
    suppressed: int
    """Events that its rate limit held back since the last one."""
    error: int
    """Of an override, negative errno."""
    signal: int
    slot: int
    """Of the policy."""
    since: int
    """The epoch from which the selector counts: tells which version of the policy."""


class SentValue(NamedTuple):
    """One value that the hook's program read, as it was sent."""

    type: int
    """enum value_type."""
    status: int
    """enum sent_status: 0 whole, 1 cut, 2 could not be read, 3 a null pointer."""
    data: bytes


class HookEvent(NamedTuple):
    """A call at a hook matched selectors of one or several policies."""

    head: Head
    """Of the image that made the call."""
    hook: int
    matches: list[HookMatch]
    """At least one; at most one of each policy."""
    values: dict[int, SentValue]
    """By index in the hook's shape."""
    cgroup_id: int
    actions: int
    """What was done to the call: enum action_flags of all matches."""
    error: int
    """Of the override that was done."""
    signal: int
    """That was sent."""
    kernel_stack: int
    """Id in the map of stacks, negative when there is none."""
    user_stack: int


class CgroupChange(NamedTuple):
    """A cgroup was made or removed, in the hierarchy in which containers are looked for."""

    head: Head
    """Who did it, and when; names no image."""
    cgroup_id: int
    container: int
    """Id of the cgroup of the container that it belongs to; 0: of none that its name tells."""
    is_removed: bool
    path: bytes
    """In its hierarchy, as the kernel tells it."""


class Garbage(NamedTuple):
    """A record that is not one: wrong size or unknown kind. Counted as lost."""

    reason: str
    size: int


Record = Exec | Fork | Exit | Task | HookEvent | CgroupChange | Garbage
