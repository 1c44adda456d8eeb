# SPDX-License-Identifier: Apache-2.0
"""The living images, and the last that left: a line of a log is read when its writer may be gone.

Stands in place of the tree's plain dictionary where lines are collected; costs nothing elsewhere.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from typing import Any

from agent.enrich.process import Process

MOST_GONE = 4096
"""Images that left and are remembered: a second of a busy machine."""


class Recent(dict[int, Process]):
    """By `image_key`, as ProcessTree.living."""

    def __init__(self) -> None:
        super().__init__()
        self._gone: deque[Process] = deque(maxlen=MOST_GONE)

    def __delitem__(self, key: int) -> None:
        self._gone.append(self[key])
        super().__delitem__(key)

    def pop(self, key: int, *default: Any) -> Any:
        """As dict's."""
        found = super().pop(key, *default)
        if isinstance(found, Process):
            self._gone.append(found)
        return found

    def by_pid(self, pids: Collection[int]) -> dict[int, list[Process]]:
        """Images of these pids, the newest first: living ones, then those that left last."""
        found: dict[int, list[Process]] = {}
        for images in (self.values(), reversed(self._gone)):
            _add(found, images, pids)
        return found


def _add(found: dict[int, list[Process]], images: Iterable[Process], pids: Collection[int]) -> None:
    for image in images:
        if image.tgid in pids:
            found.setdefault(image.tgid, []).append(image)


def written_by(images: Iterable[Process], program: str, is_sure: bool) -> Process | None:
    """Which of a pid's images wrote a line of `program`: the newest whose file has that name, but for case
    (`CRON` is cron) and what follows (`sshd` is sshd-session). `is_sure`: the pid is the kernel's word, so it
    is the newest at least; else None."""
    wanted = program.casefold()
    first: Process | None = None
    for image in images:
        first = first or image
        name = image.binary.rpartition("/")[2].casefold()
        if name and wanted and (name.startswith(wanted) or wanted.startswith(name)):
            return image
    return first if is_sure else None
