# SPDX-License-Identifier: Apache-2.0
"""Who the containers of this boot are, on disk, for the next agent: it takes hooks over at once, and its
policies hold for pods before anybody was asked. What is answered later counts more."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from agent.enrich.registry import KNOWN, Registry

NAME = "containers.json"
PAUSE_S = 2.0
"""Between two writes, in seconds."""
MOST_BYTES = 64 << 20
"""A file that is larger is none of ours."""


class Remembered:
    """One file: `{"boot_id", "containers": {ID: [CGROUP_ID, ANSWER]}}`, answers as docs/containers.md has
    them. `path`: None where nothing outlives this agent."""

    def __init__(self, path: Path | None, boot_id: str, notice: Callable[[str], None]) -> None:
        self._path, self._boot_id, self._notice = path, boot_id, notice
        self._is_new = self._is_told = False
        self._next_s = 0.0

    def recall(self, registry: Registry) -> None:
        """Answers for the containers that are there, each in the cgroup that it had."""
        for id_, (cgroup_id, answer) in self._read().items():
            home = registry.by_id.get(id_)
            if home is not None and home.cgroup_id == cgroup_id and not home.gone_s:
                with suppress(AttributeError, TypeError, ValueError):  # somebody else's file
                    registry.answer(answer)

    def changed(self) -> None:
        """Something is known now that was not."""
        self._is_new = True

    def save(self, registry: Registry, now_s: float) -> None:
        """Writes what is new, and not too often. `now_s`: monotonic seconds; infinite at the end."""
        if self._path is None or not self._is_new or now_s < self._next_s:
            return
        self._is_new, self._next_s = False, now_s + PAUSE_S
        known = {
            id_: [home.cgroup_id, home.answer]
            for id_, home in registry.by_id.items()
            if home.state == KNOWN and home.answer and home.cgroup_id and not home.gone_s
        }
        try:
            _replace(self._path, orjson.dumps({"boot_id": self._boot_id, "containers": known}))
        except (OSError, TypeError) as error:
            self._is_new = True
            if not self._is_told:
                self._is_told = True
                self._notice(f"containers are not remembered for the next agent: {error}")

    def _read(self) -> dict[str, tuple[int, Mapping[str, Any]]]:
        try:
            if self._path is None or self._path.stat().st_size > MOST_BYTES:
                return {}
            found = orjson.loads(self._path.read_bytes())
            if found["boot_id"] != self._boot_id:
                return {}
            return {id_: (int(number), dict(answer)) for id_, (number, answer) in found["containers"].items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return {}  # nothing is lost with it: everybody is asked


def _replace(path: Path, content: bytes) -> None:
    new = path.with_suffix(".new")
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with open(fd, "wb") as file:
        file.write(content)
    new.rename(path)
