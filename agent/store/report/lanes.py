# SPDX-License-Identifier: Apache-2.0
"""Which lane of the timeline a happening stands in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agent.store.answers import Happening

LANES = (
    ("detection", "Detections"),
    ("exec", "Started"),
    ("exit", "Ended"),
    ("file", "Files"),
    ("network", "Network"),
    ("credential", "Privileges"),
    ("policy", "Other policies"),
    ("agent", "Agent and losses"),
)
"""Key and heading of each lane, from top to bottom."""
NUMBER = {key: number for number, (key, _) in enumerate(LANES)}

_BY_TYPE = {
    "detection": "detection",
    "process_exec": "exec",
    "fork": "exec",
    "process_exit": "exit",
}
_CREDENTIAL_ARGS = frozenset(
    (
        "process_credentials_arg",
        "user_ns_arg",
        "capability_arg",
        "cap_inheritable_arg",
        "cap_permitted_arg",
        "cap_effective_arg",
        "kernel_cap_t_arg",
    )
)
_CREDENTIAL_CALLS = (
    "commit_creds",
    "cap_capable",
    "setuid",
    "setgid",
    "setreuid",
    "setregid",
    "setresuid",
    "setresgid",
    "setgroups",
    "capset",
    "security_task_fix_set",
)


def content_of(happening: Happening) -> Mapping[str, Any]:
    """What stands below the key that names the record's type; empty when it is not there."""
    record = happening.record
    own = record.get("tracehound")
    content = record.get(happening.type) or (own.get(happening.type) if isinstance(own, Mapping) else None)
    return content if isinstance(content, Mapping) else {}


def own_of(happening: Happening) -> Mapping[str, Any]:
    """What stands under `tracehound`."""
    own = happening.record.get("tracehound")
    return own if isinstance(own, Mapping) else {}


def lane_of(happening: Happening) -> str:
    """Key of the lane. Detections come first, then what a policy's event is about."""
    if "detection" in own_of(happening):
        return "detection"
    known = _BY_TYPE.get(happening.type)
    if known:
        return known
    if happening.address:
        return "network"
    if is_about_credentials(happening):
        return "credential"
    if happening.path:
        return "file"
    return "policy" if happening.type.startswith("process_") else "agent"


def is_about_credentials(happening: Happening) -> bool:
    """Whether a policy's event tells of users, groups or capabilities."""
    if any(call in happening.function for call in _CREDENTIAL_CALLS):
        return True
    return any(not _CREDENTIAL_ARGS.isdisjoint(argument) for argument in arguments_of(happening))


def arguments_of(happening: Happening) -> Iterator[Mapping[str, Any]]:
    """Arguments of a policy's event (docs/events/process_kprobe.md)."""
    for argument in content_of(happening).get("args") or ():
        if isinstance(argument, Mapping):
            yield argument
