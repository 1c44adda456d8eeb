# SPDX-License-Identifier: Apache-2.0
"""Which cgroup hierarchy names containers on this host: the v2 one, or a v1 controller on hybrid hosts."""

from __future__ import annotations

import os
from pathlib import Path


def container_hierarchy(
    pids_subsystem: int | None, memory_subsystem: int | None, root: Path = Path("/proc")
) -> int:
    """`cgroup_subsystem` of struct config: 0 for the v2 hierarchy, else index + 1 of a v1 controller.

    On a hybrid host container runtimes put processes into the v1 controllers, and into v2 at most beside them
    (cgroups(7)); `pids` and `memory` are the ones that they always use. Indexes are those of the kernel's
    `enum cgroup_subsys_id`.
    """
    try:
        mounts = [line.split() for line in (root / "mounts").read_text().splitlines()]
    except OSError:
        return 0
    v1 = {option for fields in mounts if fields[2] == "cgroup" for option in fields[3].split(",")}
    for name, index in (("pids", pids_subsystem), ("memory", memory_subsystem)):
        if name in v1 and index is not None:
            return index + 1
    return 0


def container_directory(root: Path = Path("/proc")) -> Path | None:
    """Where that hierarchy is mounted, in the order of `container_hierarchy`; None: nowhere.

    As pid 1 sees it, where that can be looked at: an agent in a container has only its own part mounted.
    """
    for who in ("1", "self"):
        try:
            text = (root / who / "mounts").read_text(errors="replace")
        except OSError:
            continue
        found = _mounted([line.split() for line in text.splitlines()])
        seen = root / who / "root" / (found or "").lstrip("/")
        if found and os.path.isdir(seen):  # noqa: PTH112  (Path.is_dir raises where it may not look)
            return seen
    return None


def _mounted(mounts: list[list[str]]) -> str | None:
    for controller in ("pids", "memory"):
        for fields in mounts:
            if fields[2] == "cgroup" and controller in fields[3].split(","):
                return fields[1]
    return next((fields[1] for fields in mounts if fields[2] == "cgroup2"), None)
