# SPDX-License-Identifier: Apache-2.0
"""Entries of nodes that are gone, taken off the objects of policies.

An entry is its node's alone as long as there is that Node. The names of an object's entries make a ring, and
each agent looks after those that follow its own name, up to the first whose Node is there: so each entry has
one who looks after it, whichever nodes are left, and nobody is elected. The removal says which entry was seen
(the operation `test` of RFC 6902): what the node itself has written meanwhile stays.

The watch tells of no statuses (agent/identity/sparse.py), so entries are those of the last reading: one
object is read anew in each turn, and all are once a node is found to be gone.
"""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from urllib.parse import quote

from agent.identity.access import NoAccess
from agent.identity.policies import path_of
from agent.identity.rest import JSON_PATCH, Api, ApiError, Unreachable, explain

PAUSE_S = 600.0
"""How often neighbours are looked after, in seconds; spread by a fifth."""
AT_ONCE = 16
"""Entries of an object that are kept in mind, and taken away by one patch."""
PARTS = ("nodes", "notInForce")
"""Where nodes have keys in `status`."""
_NODE = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
"""A Node's name (Kubernetes documentation, "Object Names and IDs": DNS subdomain names)."""
_OUTDATED = (404, 409, 422)
"""What a patch of something that has changed is answered with; 422 where `test` does not hold."""
Key = tuple[str, str, str]
"""Kind, namespace, name."""


class Entry(NamedTuple):
    """One node on one object."""

    node: str
    seen: tuple[tuple[str, Any], ...]
    """Its keys: JSON pointer below /status (RFC 6901), and what tells that it is still the same."""


class Neighbours:
    """Those of one node, as the watches tell them."""

    def __init__(
        self,
        api: Api,
        node: str,
        stop: threading.Event,
        looked: Callable[[Key, dict[str, Any]], None] = lambda key, thing: None,
    ) -> None:
        """`looked` is given each object as the server has it after our patch."""
        self._api, self._node, self._stop, self._looked = api, node, stop, looked
        self._lock = threading.Lock()
        self._following: dict[Key, list[Entry]] = {}
        """Of every object, as it was read last."""
        self._turn = 0
        self.error = ""
        """Why they cannot be looked after; empty when they can."""

    def replace(self, kind: str, objects: Iterable[dict[str, Any]]) -> None:
        """All objects of a kind."""
        found = dict(self._read(kind, one) for one in objects)
        with self._lock:
            others = {key: entries for key, entries in self._following.items() if key[0] != kind}
            self._following = others | found

    def change(self, kind: str, event: str, thing: dict[str, Any]) -> None:
        """One event of a watch."""
        key, entries = self._read(kind, thing)
        with self._lock:
            if event != "DELETED":
                self._following[key] = entries
            else:
                self._following.pop(key, None)

    def run(self) -> None:
        """Until stopped."""
        while not self._stop.wait(PAUSE_S * random.uniform(0.8, 1.2)):
            self.look()

    def look(self) -> None:
        """Takes away what is gone."""
        with self._lock:
            following = dict(self._following)
        if not following:
            return
        try:
            due = sorted(following)[self._turn % len(following)]
            following[due] = self._anew(due)
            self._turn += 1
            if any(following.values()):
                self._judge(following)
            self.error = ""
        except (ApiError, Unreachable, NoAccess) as error:
            self.error = f"entries of removed nodes: {explain(error)}"

    def _judge(self, following: dict[Key, list[Entry]]) -> None:
        there = {self._node: self._is_there(self._node)}
        if not there[self._node]:  # we are no Node of this cluster, so we do not judge who is one
            return
        if not any(self._gone(entries, there) for entries in following.values()):
            return
        for key in following:
            if gone := self._gone(self._anew(key), there):
                self._remove(key, gone)

    def _anew(self, key: Key) -> list[Entry]:
        """The entries that follow ours on an object, read from the server; none where it is gone."""
        kind, namespace, name = key
        try:
            thing = self._api.get(path_of(kind, namespace, quote(name, safe="")), {})
        except ApiError as error:
            if error.status != 404:
                raise
            return []
        _, entries = self._read(kind, thing)
        with self._lock:
            if key in self._following:
                self._following[key] = entries
        return entries

    def _gone(self, entries: list[Entry], there: dict[str, bool]) -> list[Entry]:
        """Those before the first whose Node is there."""
        gone = []
        for entry in entries:
            if entry.node not in there:
                there[entry.node] = self._is_there(entry.node)
            if there[entry.node]:
                break
            gone.append(entry)
        return gone

    def _is_there(self, node: str) -> bool:
        try:
            self._api.get(f"/api/v1/nodes/{quote(node, safe='')}", {})
        except ApiError as error:
            if error.status != 404:
                raise
            return False
        return True

    def _remove(self, key: Key, gone: list[Entry]) -> None:
        kind, namespace, name = key
        steps: list[dict[str, Any]] = []
        for pointer, value in (seen for entry in gone for seen in entry.seen):
            steps.append({"op": "test", "path": f"/status/{pointer}", "value": value})
        for pointer, _ in (seen for entry in gone for seen in entry.seen):
            steps.append({"op": "remove", "path": "/status/" + "/".join(pointer.split("/")[:2])})
        path = f"{path_of(kind, namespace, quote(name, safe=''))}/status"
        try:
            thing = self._api.send("PATCH", path, steps, {"fieldManager": "tracehound"}, JSON_PATCH)
            self._looked(key, thing)
        except ApiError as error:
            if error.status not in _OUTDATED:
                raise

    def _read(self, kind: str, thing: dict[str, Any]) -> tuple[Key, list[Entry]]:
        metadata, status = thing.get("metadata") or {}, thing.get("status") or {}
        key = kind, str(metadata.get("namespace", "")), str(metadata.get("name", ""))
        names = {name for part in PARTS for name in status.get(part) or {} if _NODE.fullmatch(name)}
        found = [entry_of(status, name) for name in following(names, self._node, AT_ONCE)]
        return key, found


class KindOfNeighbours:
    """One kind of objects, as a watch wants it."""

    def __init__(self, neighbours: Neighbours, kind: str) -> None:
        self._neighbours, self._kind = neighbours, kind

    def replace(self, objects: list[dict[str, Any]]) -> None:
        """All that there are."""
        self._neighbours.replace(self._kind, objects)

    def change(self, kind: str, thing: dict[str, Any]) -> None:
        """One event."""
        self._neighbours.change(self._kind, kind, thing)


def following(names: Iterable[str], own: str, most: int) -> list[str]:
    """Those that follow a name, the last one followed by the first one."""
    others = sorted(name for name in names if name != own)
    return [*(name for name in others if name > own), *(name for name in others if name < own)][:most]


def entry_of(status: dict[str, Any], node: str) -> Entry:
    """What stands of a node. An entry is another one when its stamp is."""
    seen: list[tuple[str, Any]] = []
    entry = (status.get("nodes") or {}).get(node)
    if isinstance(entry, dict) and "updated" in entry:
        seen.append((f"nodes/{node}/updated", entry["updated"]))
    elif entry is not None:
        seen.append((f"nodes/{node}", entry))
    if (why := (status.get("notInForce") or {}).get(node)) is not None:
        seen.append((f"notInForce/{node}", why))
    return Entry(node, tuple(seen))
