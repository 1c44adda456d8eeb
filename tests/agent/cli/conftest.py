# SPDX-License-Identifier: Apache-2.0
"""A log to read: real segment files with lines as docs/architecture.md describes them."""

from __future__ import annotations

import base64
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.cli.main import main
from tests.agent.api.support import Agent, Log

START_NS = 1_767_225_600_000_000_000
"""2026-01-01T00:00:00Z; times of the tests are seconds after it."""
NODE = "n1"


def stamp(seconds: float) -> str:
    """A time of the log."""
    whole, fraction = divmod(START_NS + round(seconds * 1e9), 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{fraction:09d}Z"


class LogMaker:
    """Writes records of an invented machine; processes are dictionaries as in the log."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.sequence = 0
        self.ancestry: dict[str, list[str]] = {}
        self._segment: Path | None = None
        directory.mkdir(parents=True, exist_ok=True)

    def segment(self, at: float = 0, boot_id: str = "boot-1") -> None:
        """Begin a new segment."""
        previous = self._segment.name if self._segment else None
        if previous is not None and boot_id != "boot-1":
            self.sequence = 0
        name = f"{START_NS // 10**6 + round(at * 1000):013d}-{self.sequence + 1:012d}.jsonl"
        self._segment = self.directory / name
        content = {"format": 1, "boot_id": boot_id, "kernel": "6.12", "version": "0.1.0"}
        self.own("segment", content | ({"previous": previous} if previous else {}), at)

    def write(self, record: dict[str, Any], own: dict[str, Any], at: float) -> dict[str, Any]:
        """Append a line; the result is the record as it stands there."""
        if self._segment is None:
            self.segment()
        assert self._segment is not None
        self.sequence += 1
        tracehound = {"sequence": self.sequence, **own}
        envelope = {"node_name": NODE, "time": stamp(at)}
        event = bool(record)
        line = (
            {**record, **envelope, "tracehound": tracehound}
            if event
            else {"tracehound": tracehound, **envelope}
        )
        with self._segment.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
        return line

    def own(self, kind: str, content: dict[str, Any], at: float) -> dict[str, Any]:
        """An own record."""
        return self.write({}, {kind: content}, at)

    def exec(
        self,
        pid: int,
        binary: str,
        *arguments: str,
        parent: dict[str, Any] | None = None,
        at: float = 0,
        own: dict[str, Any] | None = None,
        **fields: Any,
    ) -> dict[str, Any]:
        """A process_exec; the result is its process."""
        process = {
            "exec_id": base64.b64encode(f"{NODE}:{1000 + round(at * 1e9)}:{pid}".encode()).decode(),
            "pid": pid,
            "uid": 0,
            "cwd": "/",
            "binary": binary,
            "arguments": " ".join(arguments),
            "flags": "execve rootcwd clone",
            "start_time": stamp(at),
            "auid": 4294967295,
            "parent_exec_id": parent["exec_id"] if parent else "",
            "tid": pid,
            **fields,
        }
        above = [parent["exec_id"], *self.ancestry[parent["exec_id"]]] if parent else []
        self.ancestry[process["exec_id"]] = above
        event = {"process": process} | ({"parent": parent} if parent else {})
        extra = {"ancestry": above, "arguments": [binary, *arguments], "user": "root"} | (own or {})
        self.write({"process_exec": event}, extra, at)
        return process

    def replace(
        self, old: dict[str, Any], binary: str, *arguments: str, at: float, **fields: Any
    ) -> dict[str, Any]:
        """An exec without a fork: a new image of the same pid."""
        fields.setdefault("flags", "execve rootcwd")
        return self.exec(old["pid"], binary, *arguments, parent=old, at=at, **fields)

    def exit(
        self, process: dict[str, Any], at: float, parent: dict[str, Any] | None = None, **outcome: Any
    ) -> dict[str, Any]:
        """A process_exit with `status` or `signal`."""
        event = {"process": process} | ({"parent": parent} if parent else {}) | outcome | {"time": stamp(at)}
        own = {"ancestry": self.ancestry[process["exec_id"]]}
        return self.write({"process_exit": event}, own, at)

    def loss(
        self, count: int, start: float, end: float, hook: str = "exec", cause: str = "ring_full"
    ) -> None:
        """A loss record."""
        times = {"from": stamp(start), "to": stamp(end)}
        self.own("loss", {"cause": cause, "lane": "lifecycle", "hook": hook, "count": count, **times}, end)


@pytest.fixture(autouse=True)
def in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local time is UTC, colours and settings do not depend on who runs the tests."""
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def log(tmp_path: Path) -> LogMaker:
    """An empty log directory with its maker."""
    return LogMaker(tmp_path / "log")


Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs the command in this process: exit status, standard output, standard error."""

    def call(*argv: object) -> tuple[int, str, str]:
        status = main([str(word) for word in argv])
        out, err = capsys.readouterr()
        return status, out, err

    return call


def agent_state(**changes: Any) -> dict[str, Any]:
    """What an agent that is well writes to status.json, just now."""
    now = time.time_ns() / 1e9 - START_NS / 1e9
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return {
        "pid": os.getpid(),
        "version": "0.1.0",
        "node_name": NODE,
        "boot_id": boot_id,
        "started": stamp(now - 120),
        "kernel": "6.12.0",
        "state": "running",
        "health": {"state": "ok", "reasons": []},
        "events": {"process_exec": 1200, "process_exit": 1100},
        "lost": {},
        "programs": [{"name": "exec", "kind": "tp_btf", "attached": True}],
        "ring": {"bytes": 16 << 20, "fill": 0.01, "peak": 0.25},
        "lag_seconds": 0.004,
        "processes": 321,
        "shed_step": 0,
        "log": {"dir": "/var/log/th", "last_sequence": 2301, "bytes": 3 << 20, "state": "ok"},
        "cpu_percent": 1.25,
        "rss_bytes": 40 << 20,
        "pss_bytes": 30 << 20,
        "updated": stamp(now),
        **changes,
    }


@pytest.fixture
def write_state(log: LogMaker) -> Callable[..., dict[str, Any]]:
    """Writes status.json of an agent that is well, but for the changes."""

    def write(**changes: Any) -> dict[str, Any]:
        state = agent_state(**changes)
        (log.directory / "status.json").write_text(json.dumps(state))
        return state

    return write


@pytest.fixture
def answering() -> Iterator[Agent]:
    """An agent that is well and answers on its control socket."""
    with tempfile.TemporaryDirectory(prefix="th-") as name:
        Log(Path(name) / "log")
        agent = Agent(Path(name))
        agent.status = agent_state()
        yield agent
        agent.close()


WriteState = Callable[..., dict[str, Any]]
