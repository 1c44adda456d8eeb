# SPDX-License-Identifier: Apache-2.0
"""Classes and activities of OCSF 1.8, by what was done. Numbers and captions: https://schema.ocsf.io/1.8.0/classes."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from orjson import dumps

VERSION = "1.8.0"


class OcsfClass(NamedTuple):
    """A class of events."""

    uid: int
    name: str
    category_uid: int
    category: str


BASE = OcsfClass(0, "Base Event", 0, "Uncategorized")
FILE = OcsfClass(1001, "File System Activity", 1, "System Activity")
DRIVER = OcsfClass(1002, "Kernel Extension Activity", 1, "System Activity")
KERNEL = OcsfClass(1003, "Kernel Activity", 1, "System Activity")
MEMORY = OcsfClass(1004, "Memory Activity", 1, "System Activity")
MODULE = OcsfClass(1005, "Module Activity", 1, "System Activity")
PROCESS = OcsfClass(1007, "Process Activity", 1, "System Activity")
FINDING = OcsfClass(2004, "Detection Finding", 2, "Findings")
NETWORK = OcsfClass(4001, "Network Activity", 4, "Network Activity")

_AREAS = {
    "file": FILE,
    "network": NETWORK,
    "process": PROCESS,
    "driver": DRIVER,
    "kernel": KERNEL,
    "memory": MEMORY,
    "library": MODULE,
}
_ACTIVITIES: dict[tuple[str, str], tuple[int, str]] = {
    ("file", "create"): (1, "Create"),
    ("file", "read"): (2, "Read"),
    ("file", "write"): (3, "Update"),
    ("file", "delete"): (4, "Delete"),
    ("file", "rename"): (5, "Rename"),
    ("file", "set attributes"): (6, "Set Attributes"),
    ("file", "set security"): (7, "Set Security"),
    ("file", "get attributes"): (8, "Get Attributes"),
    ("file", "mount"): (12, "Mount"),
    ("file", "unmount"): (13, "Unmount"),
    ("file", "open"): (14, "Open"),
    ("network", "connect"): (1, "Open"),
    ("network", "accept"): (1, "Open"),
    ("network", "close"): (2, "Close"),
    ("network", "fail"): (4, "Fail"),
    ("network", "send"): (6, "Traffic"),
    ("network", "receive"): (6, "Traffic"),
    ("network", "listen"): (7, "Listen"),
    ("process", "launch"): (1, "Launch"),
    ("process", "terminate"): (2, "Terminate"),
    ("process", "trace"): (3, "Open"),
    ("process", "inject"): (4, "Inject"),
    ("process", "set user"): (5, "Set User ID"),
    ("driver", "load"): (1, "Load"),
    ("driver", "unload"): (2, "Unload"),
    ("kernel", "load bpf"): (1, "Create"),
    ("kernel", "use bpf"): (4, "Invoke"),
    ("kernel", "replace"): (4, "Invoke"),
    ("kernel", "stop"): (4, "Invoke"),
    ("kernel", "set time"): (4, "Invoke"),
    ("kernel", "set up io_uring"): (4, "Invoke"),
    ("kernel", "call"): (4, "Invoke"),
    ("memory", "allocate"): (1, "Allocate Page"),
    ("memory", "protect"): (2, "Modify Page"),
    ("memory", "free"): (3, "Delete Page"),
    ("memory", "map"): (9, "Map View"),
    ("library", "load"): (1, "Load"),
    ("library", "call"): (3, "Invoke"),
}
"""What is not here is activity 99, Other, with the verb as its name."""
_OTHER = 99
_SEVERITIES = {
    "informational": (1, "Informational"),
    "low": (2, "Low"),
    "medium": (3, "Medium"),
    "high": (4, "High"),
    "critical": (5, "Critical"),
}


_OBSERVED: dict[str, str | int] = {
    "action_id": 3,
    "action": "Observed",
    "disposition_id": 17,
    "disposition": "Logged",
}
_OUTCOMES: dict[str, dict[str, str | int]] = {
    "": {},
    "observed": _OBSERVED,
    "success": _OBSERVED | {"status_id": 1, "status": "Success"},
    "failure": _OBSERVED | {"status_id": 2, "status": "Failure"},
    "denied": {
        "action_id": 2,
        "action": "Denied",
        "disposition_id": 2,
        "disposition": "Blocked",
        "status_id": 2,
        "status": "Failure",
    },
}
"""What became of a call that a policy saw (profile security_control), and of the call itself."""


@lru_cache(maxsize=1024)
def activity_head(area: str, verb: str, level: str, outcome: str = "") -> bytes:
    """How a document of an activity begins: class, category, activity, type, severity and outcome, up to a
    comma. `outcome`: `observed`, `success`, `failure`, `denied`, or empty for what no policy saw."""
    number, name = _ACTIVITIES.get((area, verb), (_OTHER, verb.capitalize()))
    return head(_AREAS[area], number, name, level, outcome)


@lru_cache(maxsize=1024)
def head(ocsf: OcsfClass, activity: int, name: str, level: str, outcome: str = "") -> bytes:
    """The same for a class and activity by their numbers. `type_uid` is class_uid * 100 + activity_id."""
    severity_id, severity = _SEVERITIES[level]
    fields = {
        "class_uid": ocsf.uid,
        "class_name": ocsf.name,
        "category_uid": ocsf.category_uid,
        "category_name": ocsf.category,
        "activity_id": activity,
        "activity_name": name,
        "type_uid": ocsf.uid * 100 + activity,
        "type_name": f"{ocsf.name}: {name if activity != _OTHER else 'Other'}",
        "severity_id": severity_id,
        "severity": severity,
        **_OUTCOMES[outcome],
    }
    return dumps(fields)[:-1] + b","
