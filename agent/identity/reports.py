# SPDX-License-Identifier: Apache-2.0
"""What became of each policy on this node, written on its object: `status.nodes.NODE`, and in
`status.notInForce.NODE` why it is not in force. A refused policy is an event of Kubernetes, too.

Each node writes its own keys with a merge patch (RFC 7386), so that nodes do not meet; the field manager is
`tracehound` (Kubernetes documentation, "Server-Side Apply: Field management")."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from agent.identity.access import NoAccess
from agent.identity.crowd import Crowd
from agent.identity.policies import GROUP, Object, path_of
from agent.identity.rest import MERGE_PATCH, Api, ApiError, Unreachable, explain
from agent.identity.text import clean

COUNTS_S = 60.0
"""Counts alone are written this often at most, in seconds, less often where there are many nodes
(agent/identity/crowd.py); a change of state at once."""
TRY_AGAIN_S = 15.0
"""After a failure, in seconds; a right that is missing is asked for less often."""
FORBIDDEN_S = 300.0
MANAGER = "tracehound"
BROKEN = ("load_error", "error")
NOTHING = (401, 403, 429, 503)
"""HTTP statuses by which a server refuses whatever else is asked."""
HOOKS = 8
"""Hooks that are named."""
NO_NODE = "status of policies: the cluster has no Node {!r}, so nothing is written; is `node_name` right?"
NO_STATUS = "status of policies: these CRDs have none (Tetragon's?), so nothing is written on objects"
"""Told while that is so; refused policies are events all the same."""

Key = tuple[str, str, str]
"""Kind, namespace, name."""


class Reports:
    """The statuses of this node's policies."""

    def __init__(
        self,
        api: Api,
        node: str,
        objects: Callable[[], list[Object]],
        clock: Callable[[], float] = time.monotonic,
        is_gone: Callable[[], bool] = lambda: False,
        looked: Callable[[Key, dict[str, Any]], None] = lambda key, thing: None,
    ) -> None:
        """`is_gone`: whether there is no such Node; its entries are then for others to take away. `looked` is
        given each object as the server has it after our patch."""
        self._api, self._node, self._objects, self._clock = api, node, objects, clock
        self._is_gone, self._looked = is_gone, looked
        self._wanted: dict[Key, dict[str, Any]] = {}
        self._written: dict[Key, tuple[float, str, dict[str, Any]]] = {}
        """By kind, namespace, name: when (monotonic seconds), of which uid, what."""
        self._told: dict[Key, str] = {}
        """Errors for which an event was written."""
        self._lock = threading.Lock()
        self._wake, self._over = threading.Event(), threading.Event()
        self._crowd = Crowd(api, clock)
        self._no_status_until = 0.0
        """Of the clock: until then the server is not asked again for a status that its CRDs do not have."""
        self.error = ""
        """Why statuses cannot be written; empty when they can."""

    def take(self, status: Mapping[str, Any]) -> None:
        """The agent's message `status`."""
        policies = [one for one in status.get("policies") or [] if isinstance(one, dict)]
        with self._lock:
            self._wanted = {
                (str(one.get("kind", "")), str(one.get("namespace", "")), str(one.get("name", ""))): one
                for one in policies
            }
        self._wake.set()

    def run(self) -> None:
        """Until stopped."""
        pause = COUNTS_S
        while not self._over.is_set():
            self._wake.wait(pause)
            self._wake.clear()
            if not self._over.wait(self._crowd.delay_s()):
                pause = self.write()

    def stop(self) -> None:
        """Ends `run`."""
        self._over.set()
        self._wake.set()

    def write(self) -> float:
        """Writes what has changed; returns after how many seconds to look again."""
        if self._is_gone():
            self._written.clear()  # whoever comes back has lost its entries
            self.error = NO_NODE.format(self._node)
            return TRY_AGAIN_S
        with self._lock:
            wanted = dict(self._wanted)
        objects = {(one.kind, one.namespace, one.name): one for one in self._objects()}
        for key in [key for key in self._written if key not in objects]:
            del self._written[key]
        for key in [key for key in self._told if key not in objects]:
            del self._told[key]
        error = self._write_all({key: told for key, told in wanted.items() if key in objects}, objects)
        self.error = f"status of policies: {explain(error)}" if error else ""
        if error is None:
            self.error = NO_STATUS if self._clock() < self._no_status_until else ""
            return COUNTS_S
        return FORBIDDEN_S if getattr(error, "status", 0) == 403 else TRY_AGAIN_S

    def _write_all(
        self, wanted: Mapping[Key, Mapping[str, Any]], objects: Mapping[Key, Object]
    ) -> Exception | None:
        """The first error. An object that the server refuses does not keep the others back; a server
        that takes nothing is not asked for each."""
        first: Exception | None = None
        for key, told in wanted.items():
            try:
                self._write(key, objects[key], told)
            except ApiError as error:
                first = first or error
                if error.status in NOTHING:
                    return error
            except (Unreachable, NoAccess) as error:
                return error
        return first

    def _write(self, key: Key, one: Object, told: Mapping[str, Any]) -> None:
        entry = entry_of(told)
        since, uid, before = self._written.get(key, (-COUNTS_S, "", {}))
        is_same = uid == one.uid and _without_counts(entry) == _without_counts(before)
        if is_same and (entry == before or self._clock() - since < self._crowd.pause_s(COUNTS_S)):
            return
        if self._clock() < self._no_status_until or self._put(key, one, entry):
            self._tell(key, one, entry)

    def _put(self, key: Key, one: Object, entry: dict[str, Any]) -> bool:
        """False where the object is gone, or was changed just now: the watch will tell."""
        try:
            thing = self._patch(one, entry)
        except ApiError as error:
            if error.status == 404 and self._is_there(one):
                self._no_status_until = self._clock() + FORBIDDEN_S
                return True
            if error.status not in (404, 409):
                raise
            return False
        self._written[key] = self._clock(), one.uid, entry
        self._looked(key, thing)
        return True

    def _is_there(self, one: Object) -> bool:
        """Of a missing status an API server says that the object is not found."""
        try:
            thing = self._api.get(path_of(one.kind, one.namespace, quote(one.name, safe="")), {})
        except ApiError:
            return False
        return bool((thing.get("metadata") or {}).get("uid") == one.uid)

    def _patch(self, one: Object, entry: dict[str, Any]) -> dict[str, Any]:
        is_skipped = entry["state"] == "skipped"
        why = entry.get("error") if entry["state"] in (*BROKEN, "partially_enabled") else None
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        body = {
            "metadata": {"uid": one.uid},
            "status": {
                "nodes": {self._node: None if is_skipped else {**_nulled(entry), "updated": stamp}},
                "notInForce": {self._node: why or None},
            },
        }
        path = f"{path_of(one.kind, one.namespace, quote(one.name, safe=''))}/status"
        return self._api.send("PATCH", path, body, {"fieldManager": MANAGER}, MERGE_PATCH)

    def _tell(self, key: Key, one: Object, entry: Mapping[str, Any]) -> None:
        """An event for each new error."""
        error = str(entry.get("error", "")) if entry["state"] in BROKEN else ""
        if error == self._told.get(key, ""):
            return
        try:
            if error:
                self._send_event(one, error)
        except (Unreachable, NoAccess):
            self._written.pop(key, None)  # all once more when the server is back
            raise
        self._told[key] = error

    def _send_event(self, one: Object, error: str) -> None:
        path = f"/api/v1/namespaces/{one.namespace or 'default'}/events"
        try:
            self._api.send("POST", path, event_of(one, self._node, error), {"fieldManager": MANAGER})
        except ApiError as refused:
            if refused.status != 409:  # the same was told before our start
                raise


def entry_of(told: Mapping[str, Any]) -> dict[str, Any]:
    """A policy's state, compact: many nodes share one object."""
    hooks = [clean(hook) for hook in told.get("hooks") or []]
    entry: dict[str, Any] = {
        "state": clean(told.get("state")) or "unknown",
        "mode": clean(told.get("mode")),
        "generation": told.get("generation"),
        "attached": [*hooks[:HOOKS], *([f"and {len(hooks) - HOOKS} more"] if len(hooks) > HOOKS else [])],
        "error": clean(told.get("error"), 300),
        "counts": {name: n for name, n in (told.get("counts") or {}).items() if isinstance(n, int) and n},
    }
    return {name: value for name, value in entry.items() if value}


def event_of(one: Object, node: str, error: str) -> dict[str, Any]:
    """A Warning about a policy. Its name tells of which text, so that each is there once."""
    mark = hashlib.sha256(f"{one.uid}/{one.generation}/{node}/{error}".encode()).hexdigest()[:16]
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    involved = {"apiVersion": GROUP, "kind": one.kind, "name": one.name, "uid": one.uid}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{one.name[:200].rstrip('.-')}.{mark}",
            "namespace": one.namespace or "default",
        },
        "involvedObject": {**involved, **({"namespace": one.namespace} if one.namespace else {})},
        "reason": "PolicyRefused",
        "message": f"node {node}: {error}"[:1024],
        "type": "Warning",
        "count": 1,
        "firstTimestamp": stamp,
        "lastTimestamp": stamp,
        "source": {"component": MANAGER, "host": node},
        "reportingComponent": MANAGER,
        "reportingInstance": node,
    }


def _nulled(entry: Mapping[str, Any]) -> dict[str, Any]:
    """For a merge patch: what is not there any more is taken away."""
    return {**dict.fromkeys(("mode", "attached", "error", "counts"), None), **entry}


def _without_counts(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != "counts"}
