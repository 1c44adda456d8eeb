# SPDX-License-Identifier: Apache-2.0
"""The pinned process map: `DIR/processes_v<layout>` on a bpffs. It keeps what processes inherited while no
agent runs; a map of another layout or shape is never reused, and entries that are no longer true are removed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from agent.errors import KernelUnsupported
from agent.kernel.libbpf import check, libbpf
from agent.kernel.links import fd_facts

if TYPE_CHECKING:
    from agent.kernel.objects import BpfMap

LAYOUT_VERSION = 3
"""PROCESS_LAYOUT_VERSION of kprobes/include/wire.h."""
_BPFFS_HINT = "`mount -t bpf bpf /sys/fs/bpf` and use a directory below it, or set kernel.pin_dir to null"


def pin_path(directory: Path) -> Path:
    """Where the map of this layout is pinned. A bpffs takes no dots in names (Linux kernel/bpf/inode.c)."""
    return directory / f"processes_v{LAYOUT_VERSION}"


def open_pinned_processes(directory: Path, shape: Mapping[str, int]) -> tuple[int, list[str]]:
    """File descriptor of a pinned map of our layout and shape (or -1), and notices about what was found.

    Other maps of ours are unpinned: their content means something else to this version. Raises
    KernelUnsupported when the directory is not on a bpffs or holds something else under our name.
    """
    require_bpffs(directory)
    notices = []
    path = pin_path(directory)
    for other in sorted(directory.glob("processes_v*")):
        if other != path:
            other.unlink()
            notices.append(f"unpinned {other}: it has the layout of another version; processes start afresh")
    if not path.exists():
        return -1, notices
    fd = check(libbpf().bpf_obj_get(str(path).encode()), f"open {path}", f"remove {path}")
    difference = _difference(fd, shape)
    if not difference:
        return fd, notices
    os.close(fd)
    if difference == "map_type":
        raise KernelUnsupported(f"{path} is not a process map", "remove it, or set another kernel.pin_dir")
    path.unlink()
    return -1, [*notices, f"unpinned {path}: it has another {difference}; processes start afresh"]


def forget_processes(directory: Path) -> list[str]:
    """Unpins the maps of all layouts; a running agent keeps its own until it ends. Returns their names."""
    gone = []
    for path in sorted(directory.glob("processes_v*")):
        path.unlink()
        gone.append(path.name)
    return gone


def drop_stale(processes: BpfMap, alive: Callable[[], Mapping[int, int]]) -> int:
    """Removes entries of processes that ended, or became another image, while nobody watched; returns how
    many.

    `alive` gives the image stamp of every living process by tgid, asked after the entries were read. An entry
    that changed since then was corrected by a program and stays.
    """
    entries = {key: processes.lookup(key) for key in processes.keys()}  # noqa: SIM118 (not a mapping)
    living = alive()
    dropped = 0
    for key, value in entries.items():
        if value is None or living.get(int.from_bytes(key, "little")) == int.from_bytes(value[:8], "little"):
            continue
        if processes.lookup(key) == value:
            dropped += processes.delete(key)
    return dropped


def _difference(fd: int, shape: Mapping[str, int]) -> str:
    facts = fd_facts(fd)
    return next((name for name, wanted in shape.items() if int(facts.get(name, "-1"), 0) != wanted), "")


def require_bpffs(directory: Path) -> None:
    """Makes a directory on a bpffs. Raises KernelUnsupported, with the way out, where it cannot be one."""
    there = next(place for place in (directory, *directory.absolute().parents) if place.exists())
    if _filesystem_type(there) != "bpf":
        raise KernelUnsupported(f"pin directory {directory} is not on a bpffs", _BPFFS_HINT)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise KernelUnsupported(f"pin directory {directory}: {error.strerror}", _BPFFS_HINT) from error


def _filesystem_type(path: Path) -> str:
    """Type of the mount that holds a path, from /proc/self/mountinfo (proc(5))."""
    device = path.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        if fields[2] == wanted:
            return fields[fields.index("-") + 1]
    return ""
