# SPDX-License-Identifier: Apache-2.0
"""Processes as selectors see them (agent/policy/semantics.py), from records of the log. Pure.

The log says what a process was at its exec. Who asks for what may have changed since (namespaces,
capabilities, credentials) gets the value at exec.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agent.log.capabilities import capability_masks

Record = Mapping[str, Any]
MOST_ANCESTORS = 512
_IDS = ("uid", "gid", "euid", "egid", "suid", "sgid", "fsuid", "fsgid")
"""Of `tracehound.cred`, in order."""


class People:
    """What execs and forks told. Feed it records in any order that has an exec before its events."""

    def __init__(self) -> None:
        self._processes: dict[str, dict[str, Any]] = {}
        self._host_ns: dict[str, int] = {}
        self._has_credentials = True

    def learn(self, record: Record) -> None:
        """Take note of a record; of others than execs, forks and segments nothing is remembered."""
        own = record.get("tracehound") or {}
        if "segment" in own:
            self._host_ns = own["segment"].get("host_ns") or {}
            self._has_credentials = own["segment"].get("credentials", True)
        elif "process_exec" in record:
            self._learn_exec(record["process_exec"].get("process") or {}, own)
        elif "fork" in own:
            self._learn_fork(own["fork"].get("process") or {})

    def person(self, process: Record, ancestry: list[str] | None = None) -> dict[str, Any]:
        """A process of an event, with its ancestors; `ancestry` as it stands in the event."""
        one = dict(self._known(process))
        above = ancestry if ancestry is not None else list(self._above(process))
        one["parent"] = self._chain(above)
        one["whole"] = "" not in above and all(known in self._processes for known in above)
        return one

    def caller(self, process: Record, parent: Record, ancestry: list[str]) -> dict[str, Any]:
        """Who called execve: the image before, with the pid of the new one. A child that forked runs its
        parent's image."""
        replaced = parent.get("pid") == process.get("pid")
        one = self.person(parent, ancestry[1:])
        if replaced:
            return one
        return {**one, "pid": process.get("pid", 0), "parent": {**one}}

    def _known(self, process: Record) -> dict[str, Any]:
        exec_id = process.get("exec_id", "")
        known = self._processes.get(exec_id) or self._processes.get(process.get("parent_exec_id", ""), {})
        binary = process.get("binary", "")
        same = known and (exec_id in self._processes or known["named"] == binary)
        told = known if same else {"binary": binary}
        return {**told, "pid": process.get("pid", 0), "uid": process.get("uid", 0)}

    def _chain(self, ancestry: list[str]) -> dict[str, Any] | None:
        chain: dict[str, Any] | None = None
        for exec_id in reversed(ancestry[:MOST_ANCESTORS]):
            known = self._processes.get(exec_id)
            chain = {**known, "parent": chain} if known else {"pid": 0, "binary": "", "parent": chain}
        return chain

    def _above(self, process: Record) -> Iterator[str]:
        exec_id = process.get("parent_exec_id", "")
        for _ in range(MOST_ANCESTORS):
            if not exec_id:
                return
            yield exec_id
            exec_id = (self._processes.get(exec_id) or {}).get("above", "")

    def _learn_exec(self, process: Record, own: Record) -> None:
        known: dict[str, Any] = {
            "pid": process.get("pid", 0),
            "uid": process.get("uid", 0),
            "nspid": own.get("nspid", 0),
            "binary": own.get("exe") or process.get("binary", ""),
            "named": process.get("binary", ""),
            "above": process.get("parent_exec_id", ""),
        }
        if self._host_ns:
            inums = self._host_ns | (own.get("ns") or {})
            known |= {"namespaces": inums, "host_namespaces": self._host_ns}
            known["in_host_user_ns"] = inums.get("user") == self._host_ns.get("user")
        if self._has_credentials:
            masks = capability_masks(own.get("cap"))
            known |= {
                name: int(masks.get(name, "0"), 16) for name in ("effective", "permitted", "inheritable")
            }
            known["ids"] = dict(zip(_IDS, own.get("cred") or [known["uid"]] * 8, strict=False))
        self._processes[process.get("exec_id", "")] = known

    def _learn_fork(self, process: Record) -> None:
        exec_id, above = process.get("exec_id", ""), process.get("parent_exec_id", "")
        before = self._processes.get(above)
        if before and exec_id not in self._processes:
            self._processes[exec_id] = {**before, "pid": process.get("pid", 0), "above": above}
