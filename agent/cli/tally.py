# SPDX-License-Identifier: Apache-2.0
"""Counts over a sliding window of the log."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Hashable, Iterator, Mapping
from typing import Any

from agent.cli.render_own import own_kind

Record = Mapping[str, Any]
Key = tuple[Hashable, ...]

LIFECYCLE = frozenset({"process_exec", "process_exit", "fork"})
"""What goes through the life-cycle lane; other events are bulk, other own records the agent's."""


def keys_of(record: Record) -> Iterator[tuple[Key, int]]:
    """What one record counts for, and how much."""
    kind = next(iter(record), "")
    if not kind.startswith("process_"):
        kind = own_kind(record)
        if kind == "loss":
            loss = record["tracehound"]["loss"]
            key = ("loss", loss.get("cause", "?"), loss.get("lane", "?"), loss.get("hook", ""))
            yield key, int(loss.get("count", 0))
        yield ("type", kind), 1
        yield ("lane", "lifecycle" if kind in LIFECYCLE else "agent"), 1
        return
    event = record[kind]
    process, parent = event.get("process"), event.get("parent")
    yield ("type", kind), 1
    yield ("lane", "lifecycle" if kind in LIFECYCLE else "bulk"), 1
    if process is None:
        return  # process_throttle has a cgroup instead
    binary = process.get("binary", "?")  # absent of a process whose records were lost
    yield ("binary", binary), 1
    if kind not in LIFECYCLE:
        yield ("process", process["pid"], binary), 1
    elif kind == "process_exec" and parent is not None:
        yield ("process", parent["pid"], parent.get("binary", "?")), 1
    if "policy_name" in event:
        yield ("policy", event["policy_name"]), 1


class Tally:
    """Counts of the last `window_seconds`, by time of the records: kept by the second, in windows of more
    than an hour by the minute."""

    def __init__(self, window_seconds: float = 60) -> None:
        self._precision = 19 if window_seconds <= 3600 else 16  # characters of a time
        self.counts: Counter[Key] = Counter()
        self._seconds: deque[tuple[str, Counter[Key]]] = deque()

    def add(self, record: Record) -> None:
        """Count a record; a malformed one counts for nothing."""
        try:
            found = list(keys_of(record))
            second = record["time"][: self._precision]
        except (KeyError, TypeError, AttributeError, ValueError):
            return
        if not self._seconds or self._seconds[-1][0] < second:
            self._seconds.append((second, Counter()))
        bucket = self._seconds[-1][1]
        for key, number in found:
            bucket[key] += number
            self.counts[key] += number

    def forget(self, before: str) -> None:
        """Drop what is older than a time of the log."""
        while self._seconds and self._seconds[0][0] < before[: self._precision]:
            for key, number in self._seconds.popleft()[1].items():
                self.counts[key] -= number
                if self.counts[key] <= 0:
                    del self.counts[key]

    def most(self, group: str, limit: int | None = None) -> list[tuple[Key, int]]:
        """The largest counts of a group, without the group's name in the key."""
        found = [(key[1:], number) for key, number in self.counts.items() if key[0] == group]
        found.sort(key=lambda pair: (-pair[1], str(pair[0])))
        return found[:limit]

    def total(self, group: str) -> int:
        """The sum of a group."""
        return sum(number for key, number in self.counts.items() if key[0] == group)
