# SPDX-License-Identifier: Apache-2.0
"""What /proc knows of a process that was there before us (proc(5)). Identity does not come from here: /proc
has 10 ms resolution and no self_exec_id, the task iterator has both."""

from __future__ import annotations

import os
from typing import NamedTuple

_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
"""Unit of the start time in /proc/PID/stat, field 22."""


class ProcEntry(NamedTuple):
    """Parts of /proc/PID that could be read; empty where the process is gone, a kernel thread or closed."""

    exe: bytes
    """Resolved path, " (deleted)" cut off."""
    deleted: bool
    cwd: bytes
    cmdline: bytes
    comm: bytes
    environ: bytes


class Inode(NamedTuple):
    """Which file it is."""

    number: int
    device: int
    """As the kernel has it: major << 20 | minor."""
    links: int


class ProcStatus(NamedTuple):
    """A process's place and rights, as /proc/PID/status has them."""

    parent: int
    """Pid of the parent, 0 for those that the kernel itself started."""
    nspid: int
    """Pid in its own pid namespace, 0 in the host's."""
    ids: tuple[int, ...]
    """uid, gid, euid, egid, suid, sgid, fsuid, fsgid."""
    capabilities: tuple[int, ...]
    """Permitted, effective, inheritable, ambient."""
    auid: int
    """Audit login uid, 4294967295 when unset."""
    sid: int
    pgid: int


def read_status(pid: int, root: str = "/proc") -> ProcStatus | None:
    """None when the process is gone."""
    lines = _content(f"{root}/{pid}/status").split(b"\n")
    words = {name: rest.split() for name, _, rest in (line.partition(b":") for line in lines)}
    try:
        users, groups = ([int(word) for word in words[name]] for name in (b"Uid", b"Gid"))
        sets = (words[name][0] for name in (b"CapPrm", b"CapEff", b"CapInh", b"CapAmb"))
        pids = words.get(b"NSpid", [])
        return ProcStatus(
            int(words[b"PPid"][0]),
            int(pids[-1]) if len(pids) > 1 else 0,
            tuple(number for pair in zip(users, groups, strict=True) for number in pair),
            tuple(int(word, 16) for word in sets),
            int(_content(f"{root}/{pid}/loginuid") or 0xFFFFFFFF),
            *(int(words.get(name, [b"0"])[0]) for name in (b"NSsid", b"NSpgid")),
        )
    except (KeyError, IndexError, ValueError):
        return None


def read_process(pid: int, *, environment: bool = False, root: str = "/proc") -> ProcEntry:
    """Raises nothing: a process may end between any two reads."""
    base = f"{root}/{pid}"
    exe = _link(f"{base}/exe")
    deleted = exe.endswith(b" (deleted)")
    return ProcEntry(
        exe.removesuffix(b" (deleted)"),
        deleted,
        _link(f"{base}/cwd").removesuffix(b" (deleted)"),
        _content(f"{base}/cmdline"),
        _content(f"{base}/comm").rstrip(b"\n"),
        _content(f"{base}/environ") if environment else b"",
    )


def read_inode(pid: int, root: str = "/proc") -> Inode:
    """The executable itself, also when it has no name any more; one link where it cannot be asked."""
    try:
        found = os.stat(f"{root}/{pid}/exe")  # noqa: PTH116 (follows the magic link, which has no real path)
    except OSError:
        return Inode(0, 0, 1)
    return Inode(found.st_ino, os.major(found.st_dev) << 20 | os.minor(found.st_dev), found.st_nlink)


def started_at(pid: int, image_ktime: int, root: str = "/proc") -> bool:
    """Whether the process that has this pid now is the one of this image, as exactly as /proc tells."""
    fields = _content(f"{root}/{pid}/stat").rpartition(b") ")[2].split()
    if len(fields) < 20:
        return False
    return abs(int(fields[19]) - image_ktime // _TICK_NS) <= 1


def is_alive(pid: int, root: str = "/proc") -> bool:
    """Whether a process of this pid exists (its identity is not looked at)."""
    return os.access(f"{root}/{pid}", os.F_OK)


def host_namespaces(names: tuple[str, ...], root: str = "/proc") -> list[int]:
    """Inums of the host's namespaces in the order of `names` (Tetragon's); 0 where the kernel has none.

    They are pid 1's. One that holds capabilities that we lack keeps its own to itself (ptrace(2), access
    mode checking); then kthreadd's, pid 2, which never leaves those in which the kernel began.
    """
    return [_inum(f"{root}/1/ns/{name}") or _inum(f"{root}/2/ns/{name}") for name in names]


def host_file(path: str, root: str = "/proc") -> str:
    """A file of the host as the first process sees it: in a container with the host's pids /etc is the
    image's. The path itself where that cannot be reached."""
    there = f"{root}/1/root{path}"
    return there if os.access(there, os.R_OK) else path


def _inum(path: str) -> int:
    text = _link(path)  # b"mnt:[4026531841]"
    return int(text[text.find(b"[") + 1 : -1]) if b"[" in text else 0


def _link(path: str) -> bytes:
    try:
        return os.readlink(path.encode())  # noqa: PTH115 (Path has no bytes; targets need not be UTF-8)
    except OSError:
        return b""


def _content(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:
            parts = []
            while part := file.read(1 << 16):
                parts.append(part)
            return b"".join(parts)
    except OSError:
        return b""
