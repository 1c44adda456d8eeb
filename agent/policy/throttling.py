# SPDX-License-Identifier: Apache-2.0
"""Throttled cgroups: the kernel holds back what one cgroup has beyond its events of a second
(kprobes/include/act.h, is_throttled); here is seen when that begins and ends, and how much it was."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

START, STOP = "THROTTLE_START", "THROTTLE_STOP"
"""Tetragon's ThrottleType."""
CALM_S = 5.0
"""So long nothing was held back when throttling ends, in seconds (as in Tetragon)."""
_STATE = struct.Struct("=4Q")
"""struct throttle of kprobes/include/states.h: second, events, suppressed, suppressed_ns (boot clock)."""


class Cgroups(Protocol):
    """The map `throttles`."""

    def keys(self, key_size: int = 4) -> list[bytes]:
        """Ids of cgroups."""

    def lookup(self, key: bytes) -> bytes | None:
        """struct throttle."""


@dataclass(frozen=True, slots=True)
class Throttled:
    """Throttling of a cgroup began or ended."""

    type: str
    cgroup: int
    """Its id, as cgroup files' inode numbers are."""
    name: str
    """Path below the root of cgroups; empty when it is gone."""
    suppressed: int
    """Events since throttling began."""

    def record(self) -> dict[str, object]:
        """Content of the `throttle` record."""
        name = {"name": self.name} if self.name else {}
        return {"type": self.type, "cgroup": {"id": str(self.cgroup), **name}, "suppressed": self.suppressed}


class Throttling:
    """What is known of throttled cgroups."""

    def __init__(self, cgroups: Cgroups, name_of: Callable[[int], str] | None = None) -> None:
        self._cgroups = cgroups
        self._name_of = name_of or find_name
        self._seen: dict[bytes, int] = {}
        """What was held back of a cgroup when it was looked at last."""
        self._began: dict[bytes, int] = {}
        """Of cgroups that are throttled: what was held back before that."""
        self.is_on = False
        self.suppressed = 0
        """Events that were held back since start."""

    def look(self, now_ns: int | None = None) -> Iterator[Throttled]:
        """What changed since the last look; `now_ns` of the boot clock."""
        if not (self.is_on or self._began):
            return
        now = time.clock_gettime_ns(time.CLOCK_BOOTTIME) if now_ns is None else now_ns
        for key in self._cgroups.keys(8):
            _, _, suppressed, last_ns = _STATE.unpack(self._cgroups.lookup(key) or bytes(_STATE.size))
            before = self._seen.get(key, 0)
            before = before if before <= suppressed else 0  # the map forgot it meanwhile
            self.suppressed += suppressed - before
            self._seen[key] = suppressed
            if suppressed > before and key not in self._began:
                self._began[key] = before
                yield self._told(START, key, suppressed)
            elif key in self._began and now - last_ns > CALM_S * 1e9:
                yield self._told(STOP, key, suppressed)
                del self._began[key]

    def _told(self, kind: str, key: bytes, suppressed: int) -> Throttled:
        number = int.from_bytes(key, "little")
        return Throttled(kind, number, self._name_of(number), suppressed - self._began[key])


def find_name(number: int, root: Path = Path("/sys/fs/cgroup")) -> str:
    """The cgroup of this id: its directory's inode number (cgroups(7)). Empty when there is none."""
    for place in (root, *root.rglob("*/")):
        try:
            if place.stat().st_ino == number:
                return "/" if place == root else f"/{place.relative_to(root)}"
        except OSError:
            continue  # it went while we looked
    return ""
