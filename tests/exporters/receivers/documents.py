# SPDX-License-Identifier: Apache-2.0
"""Documents as the runner makes them, from lines of our own log's shape."""

from __future__ import annotations

from typing import Any

import orjson

from agent.log.times import format_time
from exporters.base import Document

FIRST_NS = 1_767_225_600_000_000_001
"""2026-01-01T00:00:00.000000001Z."""
BOOT = "0d1f5b0e-6c1a-4c55-9a0b-2f3c4d5e6f70"
INIT, SHELL = "bjE6MTox", "bjE6NTAwOjEwMA=="


def process(pid: int, **more: Any) -> dict[str, Any]:
    """A process with Tetragon's default fields."""
    return {
        "exec_id": f"bjE6OTk5OjpQ{pid:04d}",
        "pid": pid,
        "uid": 1000,
        "cwd": "/home/user",
        "binary": "/usr/bin/ls",
        "arguments": '-l "a b" /etc/ssl/ünïcödé',
        "flags": "execve clone",
        "start_time": format_time(FIRST_NS + pid),
        "auid": 1000,
        "docker": "0123456789abcdef0123456789abcde",
        "parent_exec_id": SHELL,
        "tid": pid,
        "in_init_tree": False,
        **more,
    }


def execution(sequence: int) -> dict[str, Any]:
    """A `process_exec` line."""
    parent = process(100, exec_id=SHELL, binary="/usr/bin/bash", arguments="-i", parent_exec_id=INIT)
    own = {"sequence": sequence, "ancestry": [SHELL, INIT], "arguments": ["ls", "-l", "a b"], "user": "user"}
    return {
        "process_exec": {"process": process(1000 + sequence % 500), "parent": parent},
        "node_name": "n1",
        "time": format_time(FIRST_NS + sequence * 1_000_000),
        "tracehound": own,
    }


def own(kind: str, sequence: int, content: dict[str, Any], time_ns: int = 0) -> dict[str, Any]:
    """An own record such as `loss`."""
    time = format_time(time_ns or FIRST_NS + sequence * 1_000_000)
    return {"tracehound": {"sequence": sequence, kind: content}, "node_name": "n1", "time": time}


def refusal(sequence: int, time_ns: int = 0, policy: str = "no-shadow") -> dict[str, Any]:
    """An event of a policy that refused a call."""
    return {
        "process_kprobe": {
            "process": process(7),
            "function_name": "security_file_open",
            "args": [{"file_arg": {"path": "/etc/shadow"}}],
            "action": "KPROBE_ACTION_OVERRIDE",
            "policy_name": policy,
            "message": "shadow was opened",
        },
        "node_name": "n1",
        "time": format_time(time_ns or FIRST_NS + sequence),
        "tracehound": {
            "sequence": sequence,
            "ancestry": [SHELL, INIT],
            "policy": {"did": ["Override EPERM"]},
        },
    }


def document(record: dict[str, Any], body: bytes | None = None, time_ns: int = 0) -> Document:
    """What the runner hands to a destination."""
    tracehound = record["tracehound"]
    kind = next((key for key in record if key.startswith("process_")), "")
    kind = kind or next(key for key in tracehound if key not in ("sequence", "ancestry"))
    sequence = tracehound["sequence"]
    return Document(
        record=record,
        body=orjson.dumps(record) if body is None else body,
        type=kind,
        time_ns=time_ns or FIRST_NS + sequence * 1_000_000,
        sequence=sequence,
        boot_id=BOOT,
        node_name="n1",
        key="n1",
    )


def executions(count: int, first: int = 1) -> list[Document]:
    """That many execs, numbered without a gap."""
    return [document(execution(number)) for number in range(first, first + count)]
