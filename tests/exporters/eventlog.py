# SPDX-License-Identifier: Apache-2.0
"""A log directory that tests write line by line, in the writer's format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from agent.log.records import own_line
from agent.log.segments import SegmentName
from agent.log.times import format_time

START_NS = 1_767_225_600 * 10**9
"""2026-01-01T00:00:00Z, the time of the first record; each next one is a millisecond later."""


class EventLog:
    """Segments of one directory."""

    def __init__(self, directory: Path, boot_id: str = "boot-a") -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory, self.boot_id = directory, boot_id
        self.sequence = self.count = 0
        self.path = directory
        self.rotate()

    def rotate(self, boot_id: str = "") -> Path:
        """Begins the next segment, and the next boot when one is named."""
        previous = self.path.name if self.count else None
        if boot_id:
            self.boot_id, self.sequence = boot_id, 0
        name = SegmentName((START_NS // 10**6) + self.count, self.sequence + 1)
        self.path = self.directory / str(name)
        content: dict[str, Any] = {"format": 1, "boot_id": self.boot_id, "host_ns": {"mnt": 1}}
        self.own("segment", **content | ({"previous": previous} if previous else {}))
        return self.path

    def own(self, kind: str, **content: Any) -> int:
        """Writes an own record."""
        return self._write(*own_line(kind, content, "n1", self.now_ns))

    def exec(self, binary: str = "/bin/ls", kind: str = "process_exec", **process: Any) -> int:
        """Writes an event."""
        fields = {"exec_id": f"id{self.count}", "pid": 5, "uid": 0, "binary": binary, **process}
        event = {kind: {"process": fields, "parent": {"exec_id": "id0", "pid": 1}}}
        around = orjson.dumps({**event, "node_name": "n1", "time": format_time(self.now_ns)})
        return self._write(around[:-1] + b',"tracehound":{"sequence":', b',"ancestry":["id0"]}}\n')

    def execs(self, count: int) -> None:
        """Writes so many events."""
        for _ in range(count):
            self.exec()

    def lines(self) -> list[bytes]:
        """All lines of the live segments."""
        return [
            line for path in sorted(self.directory.glob("*.jsonl")) for line in path.read_bytes().splitlines()
        ]

    @property
    def now_ns(self) -> int:
        """Time of the next record."""
        return START_NS + self.count * 10**6

    def _write(self, before: bytes, after: bytes) -> int:
        self.sequence += 1
        self.count += 1
        with self.path.open("ab") as file:
            file.write(b"%b%d%b" % (before, self.sequence, after))
        return self.sequence
