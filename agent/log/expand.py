# SPDX-License-Identifier: Apache-2.0
"""The expanded form of events: every process with all that was recorded at its exec.

The log says once what is known of a process. Some readers want it in every event, as Tetragon writes it
with everything switched on. As there, credentials, capabilities and namespaces are those at exec, not
those at the time of the event.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from agent.log.capabilities import capability_masks, capability_names, securebit_names
from agent.log.remembered import Known, Remembered

Fields = dict[str, Any]

_ORDER = [
    "exec_id",
    "pid",
    "uid",
    "cwd",
    "binary",
    "arguments",
    "flags",
    "start_time",
    "auid",
    "pod",
    "docker",
    "parent_exec_id",
    "refcnt",
    "cap",
    "ns",
    "tid",
    "process_credentials",
    "binary_properties",
    "user",
    "in_init_tree",
    "environment_variables",
]
_NAMESPACES = [
    "uts",
    "ipc",
    "mnt",
    "pid",
    "pid_for_children",
    "net",
    "time",
    "time_for_children",
    "cgroup",
    "user",
]
_CREDENTIALS = ["uid", "gid", "euid", "egid", "suid", "sgid", "fsuid", "fsgid"]
_SETS = ("permitted", "effective", "inheritable")
_OWN_IMAGE = frozenset({"execve", "procFS"})
"""Flags of a process with an image of its own; one without still runs its parent's."""
_MOST_ANCESTORS = 512
"""Longest chain that is walked when an event does not list its ancestry."""


class Expander:
    """Expands records; feed it every record of the log in order, with `learn` or `expand`.

    It remembers at most `max_processes` processes, those that have exited are forgotten first. Parts of
    what it returns are shared between events: encode or copy, do not change.
    """

    def __init__(self, max_processes: int = 131072) -> None:
        self._processes = Remembered(max_processes)
        self._boot_id = ""
        self._host_ns: dict[str, int] = {}
        self._has_credentials = True

    def learn(self, record: Fields) -> None:
        """Takes notice of a record that is not to be expanded."""
        own = record.get("tracehound", {})
        if "segment" in own:
            self._begin_segment(own["segment"])
        elif "fork" in own:
            self._learn_fork(own["fork"])
        elif "process_exec" in record:
            self._learn_exec(record["process_exec"], own)
        elif "process_exit" in record:
            self._processes.exit(record["process_exit"].get("process", {}).get("exec_id", ""))

    def expand(self, record: Fields, *, tracehound: bool = False) -> Fields:
        """The record with everything on. Own records, and events that are of no process, come back as
        they are.

        `tracehound` keeps our own key in events.
        """
        self.learn(record)
        kind = next((key for key in record if key.startswith("process_")), None)
        if kind is None or "process" not in record[kind]:
            return record
        own = record.get("tracehound", {})
        expanded = {key: value for key, value in record.items() if tracehound or key != "tracehound"}
        expanded[kind] = self._expand_event(kind, record[kind], own)
        return expanded

    def _expand_event(self, kind: str, event: Fields, own: Fields) -> Fields:
        process, parent = event["process"], self._parent_of(event)
        details = self._details_of(process)
        if kind == "process_exec" and (properties := _binary_properties(own)):
            details = details | {"binary_properties": properties}
        full = {"process": _full(process, details)}
        if parent is not None:
            full["parent"] = _full(parent, self._details_of(parent))
        order = event if "parent" in event else [*full, *event]
        expanded: Fields = {key: full.get(key, event.get(key)) for key in order}
        ancestors = [_full_of(known) for known in self._ancestors(parent, own)]
        if ancestors:
            expanded["ancestors"] = ancestors
        return expanded

    def _parent_of(self, event: Fields) -> Fields | None:
        """The parent as the event has it; under load exits are written without, then as it is known."""
        if "parent" in event:
            parent: Fields = event["parent"]
            return parent
        known = self._processes.get(event["process"].get("parent_exec_id", ""))
        return known.process if known is not None else None

    def _details_of(self, process: Fields) -> Fields:
        known = self._processes.get(process.get("exec_id", ""))
        if known is None and _OWN_IMAGE.isdisjoint(process.get("flags", "").split()):
            known = self._processes.get(process.get("parent_exec_id", ""))
        return known.details if known is not None else {}

    def _ancestors(self, parent: Fields | None, own: Fields) -> Iterator[Known]:
        """From the grandparent on, up to the first one that is not known."""
        if "ancestry" in own:
            for exec_id in filter(None, own["ancestry"][1:]):  # an empty one stands for those left out
                known = self._processes.get(exec_id)
                if known is None:
                    return
                yield known
            return
        process = parent or {}
        for _ in range(_MOST_ANCESTORS):
            known = self._processes.get(process.get("parent_exec_id", ""))
            if known is None:
                return
            yield known
            process = known.process

    def _begin_segment(self, segment: Fields) -> None:
        if segment.get("boot_id", "") != self._boot_id:
            self._processes.clear()
        self._boot_id = segment.get("boot_id", "")
        self._host_ns = segment.get("host_ns", {})
        self._has_credentials = segment.get("credentials", True)

    def _learn_exec(self, event: Fields, own: Fields) -> None:
        process, parent = event.get("process", {}), event.get("parent", {})
        # A parent that was there before the log began is known by its default fields at least.
        if "exec_id" in parent and self._processes.get(parent["exec_id"]) is None:
            self._processes.put(parent["exec_id"], Known(parent, self._details_of(parent)))
        if "exec_id" in parent and parent.get("pid") == process.get("pid"):
            self._processes.exit(parent["exec_id"])  # it was replaced by an exec without a fork
        self._processes.put(process.get("exec_id", ""), Known(process, self._details(process, own)))

    def _learn_fork(self, fork: Fields) -> None:
        process = fork.get("process", {})
        parent = self._processes.get(process.get("parent_exec_id", ""))
        details = parent.details if parent is not None else {}
        self._processes.put(process.get("exec_id", ""), Known(process, details))

    def _details(self, process: Fields, own: Fields) -> Fields:
        details: Fields = {}
        if self._has_credentials:
            masks = capability_masks(own.get("cap"))
            details["cap"] = {key: capability_names(masks[key]) for key in _SETS if key in masks}
            ids = own.get("cred") or [process.get("uid", 0)] * len(_CREDENTIALS)
            details["process_credentials"] = _credentials(tuple(ids), own.get("securebits", 0))
        namespaces = self._host_ns | own.get("ns", {})
        if namespaces:
            details["ns"] = self._namespaces(namespaces)
        if "user" in own:
            details["user"] = {"name": own["user"]}
        if "environment" in own:
            pairs = own["environment"].items()
            details["environment_variables"] = [{"Key": key, "Value": value} for key, value in pairs]
        return details

    def _namespaces(self, inums: dict[str, int]) -> Fields:
        host = self._host_ns
        names = [name for name in _NAMESPACES if name in inums]
        return _shared_namespaces(tuple((name, inums[name], inums[name] == host.get(name)) for name in names))


@lru_cache(maxsize=1024)
def _credentials(ids: tuple[int, ...], securebits: int) -> Fields:
    credentials: Fields = dict(zip(_CREDENTIALS, ids, strict=False))
    if securebits:
        credentials["securebits"] = securebit_names(securebits)
    return credentials


@lru_cache(maxsize=1024)
def _shared_namespaces(namespaces: tuple[tuple[str, int, bool], ...]) -> Fields:
    return {
        name: {"inum": inum, "is_host": True} if is_host else {"inum": inum}
        for name, inum, is_host in namespaces
    }


def _binary_properties(own: Fields) -> Fields:
    """Tetragon writes them in the exec event only, and `file` for an executable without a name only."""
    properties = dict(own.get("binary_properties", {}))
    inode = own.get("inode")
    if inode is not None and inode.get("links", 0) == 0:
        properties["file"] = {"inode": {"number": inode.get("number", "0"), "links": 0}}
    return properties


def _full(process: Fields, details: Fields) -> Fields:
    # These are messages of their own in Tetragon's API and therefore written when they are zero, too.
    zero: Fields = {"uid": 0, "auid": 0, "tid": process.get("pid", 0), "in_init_tree": False}
    merged = zero | process | details
    return {key: merged[key] for key in _ORDER if key in merged}


def _full_of(known: Known) -> Fields:
    if known.full is None:
        known.full = _full(known.process, known.details)
    return known.full
