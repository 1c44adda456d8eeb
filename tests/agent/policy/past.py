# SPDX-License-Identifier: Apache-2.0
"""Policies and recorded calls for tests of replays."""

from __future__ import annotations

import json
from typing import Any

from agent.policy.model import Policy
from agent.policy.parse import parse_policies

READS: dict[str, Any] = {
    "call": "security_file_open",
    "syscall": False,
    "args": [{"index": 0, "type": "file"}, {"index": 0, "type": "uint32", "resolve": "f_mode"}],
}
SHELL = {"exec_id": "c2g=", "pid": 50, "uid": 0, "binary": "/bin/sh", "parent_exec_id": "aW5pdA==", "tid": 50}
INIT = {"exec_id": "aW5pdA==", "pid": 1, "uid": 0, "binary": "/sbin/init", "tid": 1}


def policy(name: str, hook: dict[str, Any], *selectors: dict[str, Any]) -> Policy:
    """A policy with one kprobe."""
    document = {
        "apiVersion": "cilium.io/v1alpha1",
        "kind": "TracingPolicy",
        "metadata": {"name": name},
        "spec": {"kprobes": [{**hook, "selectors": list(selectors)}]},
    }
    policies, problems = parse_policies(json.dumps(document), f"{name}.yaml")
    assert not [problem for problem in problems if problem.is_error], problems
    return policies[0]


def where(operator: str, *values: str, at: int = 0) -> dict[str, Any]:
    """A selector with one entry of matchArgs."""
    return {"matchArgs": [{"args": [at], "operator": operator, "values": list(values)}]}


def read_of(path: str, *, by: str = "reads", at: int = 1, **own: Any) -> dict[str, Any]:
    """A record of a shell that opened a file."""
    args = [{"file_arg": {"path": path}}, {"uint_arg": 1}]
    event = {"process": SHELL, "parent": INIT, "function_name": "security_file_open", "args": args}
    about = {"sequence": at, "ancestry": ["aW5pdA=="], **own}
    time = f"2026-01-01T00:00:{at:02}.000000001Z"
    return {
        "process_kprobe": {**event, "policy_name": by},
        "node_name": "n1",
        "time": time,
        "tracehound": about,
    }


def exec_of(process: dict[str, Any], **own: Any) -> dict[str, Any]:
    """A record of an exec."""
    time = "2026-01-01T00:00:00.000000001Z"
    return {
        "process_exec": {"process": {"flags": "execve", **process}, "parent": INIT},
        "node_name": "n1",
        "time": time,
        "tracehound": {"sequence": 1, "ancestry": ["aW5pdA=="], **own},
    }


def segment(**content: Any) -> dict[str, Any]:
    """The first record of a segment."""
    return {"tracehound": {"sequence": 1, "segment": {"boot_id": "b", **content}}, "node_name": "n1"}
