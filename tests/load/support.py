# SPDX-License-Identifier: Apache-2.0
"""Real agents under load: how a test starts one, loads the machine, and reads the log afterwards.

Other processes of the machine appear in the log too, so a test's own are told by their binary, which lies
in the test's directory, or by their cgroup.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest

ROOT = Path(__file__).resolve().parents[2]
TRACEHOUND = Path(sys.executable).with_name("tracehound")
IN_VM = "VMTEST_EXCHANGE" in os.environ
PATIENCE_S = 120.0
"""How long something may take that has to happen: far more than it takes even in an emulated machine."""

Record = dict[str, Any]


def wait_until(
    condition: Callable[[], Any], what: str, patience_s: float = PATIENCE_S, pause_s: float = 0.02
) -> Any:
    """The first true value of `condition`; fails the test when there is none."""
    deadline = time.monotonic() + patience_s
    while not (value := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"still not so after {patience_s:g} s: {what}")
        time.sleep(pause_s)
    return value


def read_log(directory: Path) -> list[Record]:
    """All records of a log, in their order; every line must be one."""
    segments = sorted(directory.glob("[0-9]*.jsonl"))
    lines = [line for path in segments for line in path.read_bytes().splitlines()]
    return [orjson.loads(line) for line in lines]


def own(records: list[Record], kind: str) -> list[Record]:
    """The content of all own records of one kind."""
    return [record["tracehound"][kind] for record in records if kind in record["tracehound"]]


def events(records: list[Record], kind: str, binary: str | None = None) -> list[Record]:
    """The events of one type, of one binary if that is given; without those read from /proc."""
    found = [record[kind] for record in records if kind in record]
    return [
        event
        for event in found
        if (binary is None or event["process"].get("binary") == binary)
        and "procFS" not in event["process"].get("flags", "")
    ]


def exec_ids(found: list[Record]) -> list[str]:
    """The exec_id of each event."""
    return [event["process"]["exec_id"] for event in found]


def assert_gapless(records: list[Record]) -> None:
    """The log's promise: each number once, in order, none left out."""
    numbers = [record["tracehound"]["sequence"] for record in records]
    assert numbers == list(range(1, len(numbers) + 1))


def run_and_wait(command: list[str]) -> int:
    """Executes a program that succeeds; returns its pid."""
    process = subprocess.Popen(command)
    assert process.wait() == 0
    return process.pid


class Agent:
    """One `tracehound run` and its log."""

    def __init__(self, directory: Path, settings: Record, prefix: list[str], command: list[str]) -> None:
        self.directory = directory
        self.log = Path(settings["log"]["dir"])
        self.config = directory / "settings.yaml"
        self.settings = settings
        self.errors = directory / "stderr"
        self.process: subprocess.Popen[bytes]
        directory.mkdir(parents=True, exist_ok=True)
        self._prefix = prefix
        self._command = command

    def start(self) -> None:
        """Starts it (again), and waits until it says that it runs."""
        self.config.write_text(json.dumps(self.settings))
        argv = [*self._prefix, *self._command, "run", "--config", str(self.config), "--output", "none"]
        with self.errors.open("ab") as errors:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors)
        wait_until(lambda: self.ended or self.status().get("pid") == self.pid, "the agent runs")
        assert not self.ended, self.errors.read_text()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def status(self) -> Record:
        """What it wrote about itself last; empty when there is nothing."""
        try:
            content: Record = orjson.loads((self.log / "status.json").read_bytes())
        except (OSError, orjson.JSONDecodeError):
            return {}
        return content

    def fresh_status(self) -> Record:
        """What it writes about itself from now on."""
        before = self.status().get("updated", "")
        return dict(
            wait_until(
                lambda: (s := self.status()).get("updated", "") not in ("", before) and s, "a new status"
            )
        )

    def records(self) -> list[Record]:
        """The log up to the last whole line."""
        return [
            orjson.loads(line)
            for path in sorted(self.log.glob("[0-9]*.jsonl"))
            for line in path.read_bytes().splitlines(keepends=True)
            if line.endswith(b"\n")
        ]

    def own(self, kind: str) -> list[Record]:
        """The content of the own records of one kind, so far."""
        return own(self.records(), kind)

    def catch_up(self) -> None:
        """Waits until everything that happened before this call stands in the log."""
        markers: list[int] = []

        def seen() -> bool:
            if time.monotonic() > len(markers) + begin:  # one a second: the one before may have been lost
                markers.append(run_and_wait(["/bin/true"]))
            return any(self._has_exit_of(pid) for pid in markers)

        begin = time.monotonic()
        wait_until(seen, "the agent has caught up")

    def _has_exit_of(self, pid: int) -> bool:
        last = sorted(self.log.glob("[0-9]*.jsonl"))[-2:]
        return any(b'"process_exit"' in line and b'"pid":%d,' % pid in line for line in _lines(last))

    def tell(self, number: int) -> None:
        """Sends it a signal."""
        self.process.send_signal(number)

    def stop(self) -> list[Record]:
        """Ends it in order and returns its log."""
        self.tell(signal.SIGTERM)
        assert self.process.wait(PATIENCE_S) == 0, self.errors.read_text()
        return read_log(self.log)

    def kill(self) -> None:
        """Whatever state it is in."""
        if hasattr(self, "process") and not self.ended:
            self.tell(signal.SIGKILL)
            self.process.wait(PATIENCE_S)


def _lines(paths: list[Path]) -> Iterator[bytes]:
    for path in paths:
        yield from path.read_bytes().splitlines()


StartAgent = Callable[..., Agent]


class Load:
    """The load generator, and the tiny program that it executes."""

    def __init__(self, directory: Path) -> None:
        self.program = str(directory / "load")
        self.tiny = str(directory / "tiny")
        source = str(ROOT / "vmtest" / "load.c")
        compiler = ["gcc", "-O2", "-static", "-Wall", "-Werror"]
        subprocess.run([*compiler, "-o", self.program, source], check=True)
        tiny = ["-DTINY", "-nostdlib", "-fno-stack-protector", "-o", self.tiny, source]
        subprocess.run([*compiler, *tiny], check=True)

    def start(self, count: int, prefix: list[str] | None = None) -> subprocess.Popen[bytes]:
        """One process that forks, executes and waits `count` times."""
        argv = [*(prefix or []), self.program, "exec", str(count), self.tiny]
        return subprocess.Popen(argv, stdout=subprocess.DEVNULL)

    def run(self, count: int, processes: int = 2) -> None:
        """`count` times altogether, by several processes at once."""
        running = [self.start(count // processes) for _ in range(processes)]
        assert [process.wait(600) for process in running] == [0] * processes


class Cgroup:
    """A cgroup of the test's own, in the v1 hierarchy of `controller` or in v2."""

    def __init__(self, controller: str, name: str) -> None:
        first = Path("/sys/fs/cgroup") / controller
        self.is_v1 = first.is_dir()
        if not self.is_v1:
            first = Path("/sys/fs/cgroup")
            (first / "cgroup.subtree_control").write_text(f"+{controller}")
        self.directory = first / name
        self.directory.mkdir()

    def limit_cpu(self, percent: int) -> None:
        """At most so much of one CPU."""
        if self.is_v1:
            (self.directory / "cpu.cfs_quota_us").write_text(str(percent * 1000))
        else:
            (self.directory / "cpu.max").write_text(f"{percent * 1000} 100000")

    def limit_pids(self, most: int) -> None:
        """At most so many processes."""
        (self.directory / "pids.max").write_text(str(most))

    @property
    def enter(self) -> list[str]:
        """Put before a command: it starts inside."""
        return ["sh", "-c", f'echo $$ > {self.directory}/cgroup.procs && exec "$@"', "sh"]

    def members(self) -> list[int]:
        return [int(pid) for pid in (self.directory / "cgroup.procs").read_text().split()]

    def kill(self) -> None:
        """Ends what runs inside."""

        def emptied() -> bool:
            for pid in self.members():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return not self.members()

        wait_until(emptied, "the cgroup is empty")

    def remove(self) -> None:
        """Ends what runs inside and removes it."""
        self.kill()
        self.directory.rmdir()
