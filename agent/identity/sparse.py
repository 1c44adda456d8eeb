# SPDX-License-Identifier: Apache-2.0
"""Objects of policies, of which a watch tells metadata only; what has changed is read whole.

Every node writes into the status of each policy, and every node watches all policies. With whole objects an
API server would send bytes by the third power of the number of nodes, from a hundred on more than it can.
Metadata has generation and labels, which a change of the status leaves as they are. Kubernetes documentation,
"Kubernetes API Concepts" (PartialObjectMetadata).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from agent.identity.rest import Api, ApiError
from agent.identity.watching import Sink

Key = tuple[str, str]
"""Namespace, name."""


class Sparse:
    """A sink before another one, which gets whole objects."""

    def __init__(self, api: Api, path: Callable[[str, str], str], sink: Sink) -> None:
        """`path`: of an object, by namespace and name."""
        self._api, self._path, self._sink = api, path, sink
        self._marks: dict[Key, object] = {}

    def replace(self, objects: list[dict[str, Any]]) -> None:
        """All that there are, whole."""
        self._marks = {_key(one): _mark(one) for one in objects}
        self._sink.replace(objects)

    def change(self, kind: str, thing: dict[str, Any]) -> None:
        """One event. Raises ApiError, Unreachable, NoAccess: the watch begins before it then."""
        key = _key(thing)
        if kind == "DELETED":
            self._marks.pop(key, None)
            self._sink.change(kind, thing)
        elif self._marks.get(key) != _mark(thing) and (whole := self._read(key)):
            self._marks[key] = _mark(whole)
            self._sink.change(kind, whole)

    def _read(self, key: Key) -> dict[str, Any] | None:
        """None: it is gone again, which the next event tells."""
        namespace, name = key
        try:
            return self._api.get(self._path(namespace, quote(name, safe="")), {})
        except ApiError as error:
            if error.status != 404:
                raise
            return None


def _key(thing: dict[str, Any]) -> Key:
    metadata = thing.get("metadata") or {}
    return str(metadata.get("namespace", "")), str(metadata.get("name", ""))


def _mark(thing: dict[str, Any]) -> object:
    """What is another one when a policy is."""
    metadata = thing.get("metadata") or {}
    return metadata.get("uid"), metadata.get("generation"), metadata.get("labels")
