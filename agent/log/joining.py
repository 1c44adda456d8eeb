# SPDX-License-Identifier: Apache-2.0
"""Late answers about containers, for readers of the log.

An event is written at once, even while its pod is unknown, and the answer follows as `container_update`. A
reader that wants the two joined looks ahead: pieces of the log in which a container begins to be `pending`
wait, with all that follow, until the update was read or the time is over; what is written without a pod and
answered for meanwhile gets it. The order of the log stays.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

import orjson

from agent.log.times import parse_time

AHEAD_BYTES = 16 << 20
"""Most bytes that wait; beyond, the oldest go as they are."""
_REMEMBERED = 8192
"""Containers that are remembered at a time."""
_SHOWN = 31
"""Characters of a container's id in `docker`."""
_UPDATE = re.compile(rb'"container_update":\{"id":"([^"]+)"')
_PENDING = re.compile(rb'"container":\{"id":"([^"]+)","state":"pending"')
"""As agent.enrich.home writes it; in a text of others the quotes would be escaped."""
_DOCKER = re.compile(rb'"docker":"([^"]+)"')
_TIME = re.compile(rb'"time":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)"')

T = TypeVar("T")


class Joining:
    """What was learnt of containers by looking ahead."""

    def __init__(self, hold_s: float) -> None:
        """`hold_s`: how long an event waits for its pod; 0: nothing is looked at."""
        self.hold_s = hold_s
        self._late: dict[str, Mapping[str, Any]] = {}
        """Updates about containers of which events were written before; by the id as in `docker`."""
        self._pending: dict[str, None] = {}
        """Ids that were seen pending and not answered for."""

    def look(self, lines: Iterable[bytes]) -> set[str]:
        """Takes notice of lines that will have their turn later; returns who begins to be pending in them."""
        begin: set[str] = set()
        for line in lines:
            if line.startswith(b'{"tracehound"'):
                if found := _UPDATE.search(line, 0, 256):
                    self._learn(line, found[1].decode(errors="replace"))
            elif b'"state":"pending"' in line and (found := _PENDING.search(line)):
                id_ = found[1].decode(errors="replace")
                _remember(self._pending, id_, None)
                begin.add(id_)
        return begin

    def waits_for(self, ids: Iterable[str]) -> bool:
        """Whether one of them is not answered for yet."""
        return any(id_ in self._pending for id_ in ids)

    def concerns(self, line: bytes) -> bool:
        """Whether a line may change by it; quick, and rather too often."""
        if not self._late:
            return False
        return any(found.decode(errors="replace") in self._late for found in _DOCKER.findall(line))

    def joined(self, record: dict[str, Any]) -> dict[str, Any]:
        """The record with what is known by now. The one that was given is not changed."""
        kind = next(iter(record), "")
        content = record.get(kind)
        if not self._late or kind == "tracehound" or not isinstance(content, dict):
            return record
        changed = {
            name: whole
            for name in ("process", "parent")
            if (whole := self._whole(content.get(name))) is not None
        }
        made = {**record, kind: {**content, **changed}} if changed else record
        return self._with_container(made, content)

    def join_line(self, line: bytes) -> bytes:
        """The same for a line that is sent as it is."""
        if not self.concerns(line):
            return line
        try:
            record = orjson.loads(line)
        except ValueError:
            return line
        made = self.joined(record) if isinstance(record, dict) else record
        return line if made is record else orjson.dumps(made)

    def _learn(self, line: bytes, id_: str) -> None:
        try:
            update = orjson.loads(line)["tracehound"]["container_update"]
        except (ValueError, KeyError, TypeError):
            return
        if id_ in self._pending and update.get("state") != "pending":
            del self._pending[id_]
            _remember(self._late, id_[:_SHOWN], update)
        elif id_[:_SHOWN] in self._late:
            self._late[id_[:_SHOWN]] = update

    def _whole(self, process: Any) -> dict[str, Any] | None:
        """A process with its pod; None where there is nothing to add."""
        if not isinstance(process, dict) or "pod" in process or "docker" not in process:
            return None
        update = self._late.get(process["docker"])
        if update is None or not update.get("pod"):
            return None
        container = {"id": update["id"], **update.get("container", {})}
        made: dict[str, Any] = {}
        for key, value in process.items():  # Tetragon's order: `pod` stands before `docker`
            if key == "docker":
                made["pod"] = {**update["pod"], "container": container}
            made[key] = value
        return made

    def _with_container(self, record: dict[str, Any], content: Mapping[str, Any]) -> dict[str, Any]:
        """What an exec says of a container that was pending is what became known, or nothing where the pod
        says it."""
        own = record.get("tracehound")
        told = own.get("container") if isinstance(own, dict) else None
        if not isinstance(own, dict) or not isinstance(told, dict) or told.get("state") != "pending":
            return record
        update = self._late.get(str(told.get("id", ""))[:_SHOWN])
        if update is None:
            return record
        rest = {key: value for key, value in own.items() if key != "container"}
        if update["state"] != "known":
            reason = {"reason": update["reason"]} if update.get("reason") else {}
            rest["container"] = {"id": update["id"], "state": update["state"], **reason}
        elif not update.get("pod"):
            rest["container"] = {**update.get("container", {}), "id": update["id"]}
        return {**record, "tracehound": rest}


class Waiting(Generic[T]):
    """Pieces of the log that wait for their turn, in order. Time is monotonic seconds."""

    def __init__(self, joining: Joining, lines_of: Callable[[T], list[bytes]], most_bytes: int = 0) -> None:
        """`lines_of` gives the lines of a piece, none for a notice; `most_bytes`: 0 for AHEAD_BYTES."""
        self._joining, self._lines_of, self._most = joining, lines_of, most_bytes
        self._waiting: deque[tuple[T, set[str], float, float, int]] = deque()
        """Each with whom it waits for, when it was read, when the log says it was written (wall-clock
        seconds), and its size."""
        self._size = 0
        self._newest_s = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, piece: T) -> None:
        """What was read next."""
        lines = self._lines_of(piece)
        ids = self._joining.look(lines) if self._joining.hold_s > 0 else set()
        size = sum(map(len, lines))
        written = _time_of(lines[-1]) if lines and (ids or self._waiting) else 0.0
        self._newest_s = written or self._newest_s  # not the highest: clocks are set back, too
        self._waiting.append((piece, ids, time.monotonic(), written or self._newest_s, size))
        self._size += size

    def due(self, *, at_end: bool) -> T | None:
        """The next piece, if it need not wait any more. `at_end`: there is nothing more to read now."""
        if not self._waiting:
            return None
        piece, ids, read_s, written_s, size = self._waiting[0]
        if ids and self._size <= (self._most or AHEAD_BYTES) and self._joining.waits_for(ids):
            hold_s = self._joining.hold_s
            is_passed = self._newest_s >= written_s + hold_s  # the answer was not written in time
            is_late = at_end and (time.monotonic() - read_s >= hold_s or time.time() - written_s >= hold_s)
            if not is_passed and not is_late:
                return None
        self._waiting.popleft()
        self._size -= size
        return piece

    def all(self) -> list[T]:
        """Everything that waits, at once."""
        pieces = [one[0] for one in self._waiting]
        self._waiting.clear()
        self._size = 0
        return pieces


def _remember(memory: dict[str, Any], key: str, value: Any) -> None:
    """The oldest are forgotten."""
    memory.pop(key, None)
    memory[key] = value
    if len(memory) > _REMEMBERED:
        del memory[next(iter(memory))]


def _time_of(line: bytes) -> float:
    """When a record was written, wall-clock seconds; 0 where it does not say."""
    found = None
    for found in _TIME.finditer(line[-4096:]):  # noqa: B007  (the last one counts)
        pass
    try:
        return parse_time(found[1].decode()) / 1e9 if found else 0.0
    except ValueError:
        return 0.0
