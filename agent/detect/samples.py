# SPDX-License-Identifier: Apache-2.0
"""Samples of a rule: actions that must give a hit of it, and others that must not (docs/detections.md).

People write them short: a chain of processes and what the last one does. They become records as in the log
(docs/architecture.md), so that `rules test` asks the same engine as the agent does.
"""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

NODE = "sample"
OWN = ("arguments", "exe", "environment", "cred", "cap", "ns", "user", "tty", "cgroup", "inode")
"""Keys of a process that stand below `tracehound` in the log."""
FIRST_PID = 1000
FIELDS = {"name", "processes", "event", "capture"}
PARTS = ("positive", "negative")

Record = dict[str, Any]


class SampleError(Exception):
    """A file of samples is not written as it should be; the text names the file and the sample."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One action."""

    name: str
    processes: tuple[Mapping[str, Any], ...] = ()
    """From the first ancestor to the process that acts; `binary`, `arguments` and other names of the log."""
    event: Mapping[str, Any] | None = None
    """`policy`, `function`, `message`, `args`, `data` of a policy's event; None: the last exec is meant."""
    capture: Path | None = None
    """Lines of a log in place of both."""

    def records(self) -> list[Record]:
        """As the log has them, numbered from 1. Raises OSError or ValueError for a bad capture."""
        if self.capture is not None:
            return [json.loads(line) for line in self.capture.read_text().splitlines() if line]
        return [_numbered(record, number) for number, record in enumerate(self._made(), 1)]

    def _made(self) -> Iterator[Record]:
        lineage: list[dict[str, Any]] = []
        own: dict[str, Any] = {}
        for number, said in enumerate(self.processes):
            process = _process(said, number, lineage)
            own = {key: said[key] for key in OWN if key in said}
            lineage.append(process)
            yield {"process_exec": _with_parent(lineage), **_rest(process, {**_ancestry(lineage), **own})}
        if self.event is not None:
            yield {"process_kprobe": _kprobe(self.event, lineage), **_rest(lineage[-1], _ancestry(lineage))}


@dataclass(frozen=True, slots=True)
class Samples:
    """One file."""

    positive: tuple[Sample, ...]
    negative: tuple[Sample, ...]


def read_samples(path: Path) -> Samples:
    """Raises SampleError for what is wrong with the file, OSError where there is none."""
    try:
        said = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SampleError(f"{path}: {error}") from error
    if not isinstance(said, dict) or set(said) - set(PARTS):
        raise SampleError(f"{path}: expected `positive:` and `negative:`, each a list of samples")
    return Samples(*(tuple(_samples(path, part, said.get(part) or [])) for part in PARTS))


def _samples(path: Path, part: str, said: Any) -> Iterator[Sample]:
    if not isinstance(said, list):
        raise SampleError(f"{path}: {part}: expected a list of samples")
    for one in said:
        if not isinstance(one, dict) or set(one) - FIELDS or not ({"processes", "capture"} & set(one)):
            raise SampleError(
                f"{path}: {part}: a sample has name and processes (or capture), and event: {one}"
            )
        yield Sample(
            str(one.get("name", "")),
            tuple(_said(path, process) for process in one.get("processes", ())),
            one.get("event"),
            path.parent / one["capture"] if "capture" in one else None,
        )


def _said(path: Path, process: Any) -> Mapping[str, Any]:
    """A process as it is written: a mapping, or a line of shell words."""
    if isinstance(process, dict) and "binary" in process:
        return process
    if not isinstance(process, str) or not process.strip():
        raise SampleError(f"{path}: a process is a line of words or a mapping with `binary`: {process}")
    try:
        words = shlex.split(process)
    except ValueError as error:
        raise SampleError(f"{path}: {process}: {error}") from error
    return {"binary": words[0] if "/" in words[0] else f"/usr/bin/{words[0]}", "arguments": words}


def _process(said: Mapping[str, Any], number: int, lineage: list[dict[str, Any]]) -> dict[str, Any]:
    pid = FIRST_PID + number if number else 1
    arguments = [str(word) for word in said.get("arguments", ())]
    return {
        "exec_id": base64.b64encode(f"{NODE}:{number + 1}000000:{pid}".encode()).decode(),
        "pid": pid,
        "uid": said.get("uid", 0),
        "cwd": said.get("cwd", "/"),
        "binary": said["binary"],
        **({"arguments": shlex.join(arguments[1:])} if arguments[1:] else {}),
        "flags": said.get("flags", "execve clone"),
        "start_time": _time(number),
        "auid": 4294967295,
        **({"parent_exec_id": lineage[-1]["exec_id"]} if lineage else {}),
        **({"pod": said["pod"]} if "pod" in said else {}),
        "tid": pid,
        "in_init_tree": False,
    }


def _time(number: int) -> str:
    return f"2026-01-01T00:00:{number:02}.000000001Z"


def _with_parent(lineage: list[dict[str, Any]]) -> dict[str, Any]:
    return {"process": lineage[-1], **({"parent": lineage[-2]} if lineage[1:] else {})}


def _ancestry(lineage: list[dict[str, Any]]) -> dict[str, Any]:
    return {"ancestry": [process["exec_id"] for process in reversed(lineage[:-1])]}


def _kprobe(event: Mapping[str, Any], lineage: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        **_with_parent(lineage),
        "function_name": event.get("function", ""),
        "args": event.get("args", []),
        "action": event.get("action", "KPROBE_ACTION_POST"),
        "policy_name": event["policy"],
        "return_action": "KPROBE_ACTION_POST",
        **({"message": event["message"]} if "message" in event else {}),
        **({"data": event["data"]} if "data" in event else {}),
    }


def _rest(process: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    return {"node_name": NODE, "time": process["start_time"], "tracehound": dict(own)}


def _numbered(record: Record, number: int) -> Record:
    return {**record, "tracehound": {"sequence": number, **record["tracehound"]}}
