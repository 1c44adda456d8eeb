# SPDX-License-Identifier: Apache-2.0
"""A log that is written to, and the agent's side of detections with its child, turned by hand."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from agent.detect.building import Wanted, build
from agent.detecting import Detecting
from agent.log.reader import LogReader
from agent.log.records import Line, SegmentFacts
from agent.log.times import format_time
from agent.log.writer import LogWriter
from agent.settings import DetectSettings, LogSettings

FACTS = SegmentFacts("n1", "6e1c7a52-0000-4000-8000-000000000001", "", "6.1", "0.1.0")
SHELL = {"exec_id": "c2hlbGw=", "pid": 40, "binary": "/bin/bash", "arguments": "-l"}
RULE = """\
title: {title}
id: {id}
level: {level}
logsource: {{category: process_creation, product: linux}}
detection:
  sel: {{Image|endswith: {image}}}
  condition: sel
"""
NETCAT = "6d1f9b0a-0000-4000-8000-000000000001"
MINER = "6d1f9b0a-0000-4000-8000-000000000002"


def write_rule(directory: Path, image: str, rule_id: str, level: str = "high") -> Path:
    """A rule that finds execs of a program."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{rule_id[-2:]}.yml"
    path.write_text(RULE.format(title=f"Start of {image}", id=rule_id, level=level, image=image))
    return path


class Running:
    """Log, rules and the agent's side of detections below one directory."""

    def __init__(self, directory: Path, **log: Any) -> None:
        self.directory, self.log_dir, self.rules = directory, directory / "log", directory / "rules.d"
        self.notices: list[str] = []
        self.count = 0
        """Execs that were written, that of the shell left out."""
        write_rule(self.rules, "/nc", NETCAT)
        self._settings = LogSettings(dir=str(self.log_dir), fsync_seconds=0, **log)
        self.open()
        self.log.append([_line(SHELL, {"exec_id": "c3NoZA==", "pid": 30, "binary": "/usr/sbin/sshd"})])

    @property
    def settings(self) -> DetectSettings:
        """Of detections."""
        return DetectSettings(
            dirs=(str(self.rules),), exceptions=(), state_dir=str(self.directory / "detect")
        )

    def open(self) -> None:
        """The agent starts."""
        self.detecting = Detecting(self.settings, str(self.log_dir), self.notices.append, 0.0)
        self.log = LogWriter(self._settings, FACTS, when_written=lambda _lines, _first: self.detecting.news())
        self.log.open()
        self.detecting.open(self.log)
        self._poll = select.epoll()
        for fd in self.detecting.filenos():
            self._poll.register(fd, select.EPOLLIN)

    def use_log(self, directory: Path) -> None:
        """The agent starts with another log directory."""
        self.log_dir, self._settings = directory, replace(self._settings, dir=str(directory))
        self.count = 0
        self.open()

    def close(self, grace_s: float = 10.0) -> None:
        """The agent ends in order; with no grace its child is killed."""
        self.detecting.close(grace_s)
        self.log.close("test")
        self._poll.close()

    def exec(self, binary: str, count: int = 1) -> None:
        """Appends so many execs, each of a process of its own below the shell."""
        self.log.append([self._line(binary) for _ in range(count)])

    def exec_chain(self, length: int, argument: str) -> None:
        """Appends execs of shells, each a child of the one before, and a last one of netcat."""
        parent = SHELL
        for number in range(length + 1):
            binary = "/bin/nc" if number == length else "/bin/sh"
            process = {
                "exec_id": f"chain{number}",
                "pid": 5000 + number,
                "binary": binary,
                "arguments": argument,
            }
            self.log.append([_line(process, parent)])
            parent = process
        self.count += length + 1

    def turn(self, ahead_s: float = 0.0) -> None:
        """One turn of the agent's loop; `ahead_s`: so much later, so that no pause is waited for."""
        self.detecting.tick(time.monotonic() + ahead_s)
        for fd, _ in self._poll.poll(0.005):
            self.detecting.handle(fd)

    def turn_until(self, condition: Callable[[], object], ahead_s: float = 0.0) -> None:
        """Turns until something holds."""
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, (self.detecting.state(), self.notices)
            self.turn(ahead_s)

    def is_through(self) -> bool:
        """Whether everything that was written is evaluated, and what was found is written."""
        told = self.detecting.state()
        return told["running"] and told.get("phase") == "evaluating" and told["read"] > self.count

    def records(self, kind: str) -> list[dict[str, Any]]:
        """Contents of own records of a kind, in the order of the log."""
        return [
            entry.record["tracehound"][kind]
            for entry in LogReader(self.log_dir).read()
            if kind in _own(entry)
        ]

    def found(self) -> list[str]:
        """Ids of the detections in the log."""
        return [content["id"] for content in self.records("detection")]

    def expected(self, paths: Sequence[Path] = ()) -> list[str]:
        """Ids of what an evaluation of the whole log finds, those that are only counted left out."""
        from agent.detect.evaluation import Evaluation

        wanted = Wanted(tuple(map(str, paths or [self.rules])))
        evaluation = Evaluation(build(wanted).engine)
        lines = [entry.line for entry in LogReader(self.log_dir).read()]
        return [told.content["id"] for told in evaluation.take(lines) if told.kind == "detection"]

    def _line(self, binary: str) -> Line:
        self.count += 1
        number = self.count
        process = {
            "exec_id": f"cDE{number}",
            "pid": 100 + number,
            "binary": binary,
            "arguments": f"-x {number}",
        }
        return _line(process, SHELL)


def _line(process: dict[str, Any], parent: dict[str, Any]) -> Line:
    """An exec that happens now."""
    now = format_time(time.time_ns())
    more = {"uid": 0, "cwd": "/", "flags": "execve clone", "start_time": now}
    event = {
        "process_exec": {
            "process": process | more | {"parent_exec_id": parent["exec_id"]},
            "parent": parent,
        },
        "node_name": "n1",
        "time": now,
    }
    own = {"ancestry": [parent["exec_id"]], "arguments": [process["binary"], *process["arguments"].split()]}
    head = orjson.dumps(event)[:-1] + b',"tracehound":{"sequence":'
    return head, b"," + orjson.dumps(own)[1:] + b"}\n"


def _own(entry: Any) -> dict[str, Any]:
    found: dict[str, Any] = entry.record.get("tracehound", {})
    return found
