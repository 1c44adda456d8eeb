# SPDX-License-Identifier: Apache-2.0
"""Who the containers of this boot are, on disk, for the next agent: it takes hooks over at once, and its
policies hold for pods before anybody was asked. What is answered later counts more, unless it comes from a
source that knows less."""

from __future__ import annotations

import os
from collections.abc import Callable
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
    """One file: `{"boot_id", "containers": {ID: [CGROUP_ID, ANSWER]}, "pods": {UID: POD}}`, answers and pods
    as docs/containers.md has them. `path`: None where nothing outlives this agent."""

    def __init__(self, path: Path | None, boot_id: str, notice: Callable[[str], None]) -> None:
        self._path, self._boot_id, self._notice = path, boot_id, notice
        self._is_new = self._is_told = False
        self._next_s = 0.0

    def recall(self, registry: Registry) -> None:
        """What was told of the pods that have containers here, and answers for those that are in the cgroup
        that they had."""
        containers, pods = self._read()
        for uid in pods.keys() & registry.pod_uids():
            if isinstance(pods[uid].get("labels", {}), dict):
                registry.pod({**pods[uid], "uid": uid, "deleted": False})
        for id_, (cgroup_id, answer) in containers.items():
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
            content = {"boot_id": self._boot_id, "containers": known, "pods": registry.pods()}
            _replace(self._path, orjson.dumps(content))
        except (OSError, TypeError) as error:
            self._is_new = True
            if not self._is_told:
                self._is_told = True
                self._notice(f"containers are not remembered for the next agent: {error}")

    def _read(self) -> tuple[dict[str, tuple[int, dict[str, Any]]], dict[str, dict[str, Any]]]:
        """Containers and pods; none when there is nothing that can be believed: everybody is asked."""
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            if self._path is None or self._path.stat().st_size > MOST_BYTES:
                return {}, {}
            found = orjson.loads(self._path.read_bytes())
            if found["boot_id"] == self._boot_id:
                kept = found["containers"].items()
                containers = {id_: (int(number), dict(answer)) for id_, (number, answer) in kept}
                return containers, {uid: dict(pod) for uid, pod in found.get("pods", {}).items()}
        return {}, {}


def _replace(path: Path, content: bytes) -> None:
    new = path.with_suffix(".new")
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with open(fd, "wb") as file:
        file.write(content)
    new.rename(path)
