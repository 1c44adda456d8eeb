# SPDX-License-Identifier: Apache-2.0
"""The map from cgroups to containers (kprobes/cgroups.bpf.c), filled with what was there before us."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from agent.errors import KernelRefused
from agent.kernel.cgroups import container_directory
from agent.kernel.objects import BpfMap

MOST_CGROUPS = 100_000
"""Directories that are looked at; each takes some microseconds."""


class ContainerCgroups:
    """Reads the cgroup file system and tells the kernel. Ids of cgroups are the inode numbers of their
    directories: Linux kernel commit 40430452fd5d "kernfs: use 64bit inos if ino_t is 64bit" (in v5.5)."""

    def __init__(self, fd: int, root: Path | None = None) -> None:
        """`fd`: of the map container_cgroups; `root`: where the hierarchy is mounted, by default as pid 1
        sees it."""
        self._table = BpfMap(fd, 8)
        self._root = container_directory() if root is None else root
        self.full = 0
        """Cgroups that found no room in the map."""

    def existing(self) -> Iterator[tuple[int, str]]:
        """(id, path) of all cgroups, parents before children."""
        if self._root is None:
            return
        waiting, seen = [(str(self._root), "")], 0
        while waiting and seen < MOST_CGROUPS:
            directory, path = waiting.pop()
            with suppress(OSError), os.scandir(directory) as entries:  # it may be gone meanwhile
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        seen += 1
                        below = f"{path}/{entry.name}"
                        yield entry.inode(), below
                        waiting.append((entry.path, below))

    def put(self, cgroup_id: int, container: int) -> None:
        """Counts when there is no room."""
        try:
            self._table.update(struct.pack("=Q", cgroup_id), struct.pack("=Q", container))
        except KernelRefused:
            self.full += 1

    def put_below(self, path: str, container: int) -> Iterator[int]:
        """A container that the kernel did not know by its name: its cgroup and those in it. Gives their
        ids."""
        if self._root is None or ".." in path.split("/"):
            return
        top = self._root / path.lstrip("/")
        for directory, _, _ in os.walk(top):
            with suppress(OSError):
                number = Path(directory).stat().st_ino
                self.put(number, container)
                yield number

    def id_of(self, path: str) -> int:
        """The id of the cgroup with this path; 0 when it is not there."""
        if self._root is None or ".." in path.split("/"):
            return 0
        try:
            return (self._root / path.lstrip("/")).stat().st_ino
        except (OSError, ValueError):
            return 0
