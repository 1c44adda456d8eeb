# SPDX-License-Identifier: Apache-2.0
"""TracingPolicy and TracingPolicyNamespaced objects: the whole set goes to the agent with each change."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson

from agent.identity.rest import METADATA
from agent.identity.watching import Resource

GROUP = "cilium.io/v1alpha1"
DOMAIN = "kubernetes"
KINDS = {"TracingPolicy": "tracingpolicies", "TracingPolicyNamespaced": "tracingpoliciesnamespaced"}
"""By kind: the name in paths."""
MOST = 1024
"""Policies that are handed on, the first by namespace and name, those of the whole cluster before all; the
agent runs at most 512 (agent/policy/bounds.py)."""
LONGEST = 2 << 20
"""Bytes of a policy's text that the agent reads (agent/policy/document.py)."""
ALL_BYTES = 16 << 20
"""Bytes of all texts. The whole set is one message (agent/identifying.py, LONGEST_LINE), made anew with each
change; a namespace's users must not be able to make it one that is none."""


class Object(NamedTuple):
    """One policy."""

    kind: str
    namespace: str
    """Empty for the kind TracingPolicy."""
    name: str
    uid: str
    generation: int
    """Counts the changes of its spec."""
    yaml: str
    """As text; JSON is YAML. A comment alone says why there is no text."""


class PolicySet:
    """Both kinds together. Nothing is told before both were listed: what is missing would be deleted."""

    def __init__(self, tell: Callable[[dict[str, Any]], None]) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self._objects: dict[str, dict[tuple[str, str], Object]] = {}

    def sink(self, kind: str) -> KindSink:
        """Takes what the watch of one kind brings."""
        return KindSink(self, kind)

    def objects(self) -> list[Object]:
        """All that are known, by namespace and name."""
        with self._lock:
            found = [one for objects in self._objects.values() for one in objects.values()]
        return _bounded(sorted(found, key=lambda one: (one.namespace, one.name, one.kind))[:MOST])

    @property
    def error(self) -> str:
        """What keeps policies from being handed on; empty when nothing does."""
        count = sum(map(len, list(self._objects.values())))
        return f"there are {count} policies: {count - MOST} are left out" if count > MOST else ""

    def put(self, kind: str, objects: list[dict[str, Any]]) -> None:
        """All of one kind."""
        found = (read_object(kind, one) for one in objects)
        self._update(kind, {(one.namespace, one.name): one for one in found if one})

    def change(self, kind: str, event: str, thing: dict[str, Any]) -> None:
        """One event."""
        one = read_object(kind, thing)
        if one is None:
            return
        with self._lock:
            objects = dict(self._objects.get(kind, {}))
        if event == "DELETED":
            objects.pop((one.namespace, one.name), None)
        else:
            objects[one.namespace, one.name] = one
        self._update(kind, objects)

    def _update(self, kind: str, objects: dict[tuple[str, str], Object]) -> None:
        with self._lock:
            is_news = self._objects.get(kind) != objects
            self._objects[kind] = objects
            is_complete = len(self._objects) == len(KINDS)
        if is_news and is_complete:
            told = [one._asdict() for one in self.objects()]
            self._tell({"policies": {"domain": DOMAIN, "set": told}})


class KindSink:
    """One kind of the set, as a watch wants it."""

    def __init__(self, policies: PolicySet, kind: str) -> None:
        self._policies, self._kind = policies, kind

    def replace(self, objects: list[dict[str, Any]]) -> None:
        """All that there are."""
        self._policies.put(self._kind, objects)

    def change(self, kind: str, thing: dict[str, Any]) -> None:
        """One event."""
        self._policies.change(self._kind, kind, thing)


def resource(kind: str) -> Resource:
    """What to watch, in all namespaces."""
    return Resource(kind, f"/apis/{GROUP}/{KINDS[kind]}", accept=METADATA)


def path_of(kind: str, namespace: str, name: str) -> str:
    """Of one object."""
    inside = f"namespaces/{namespace}/" if namespace else ""
    return f"/apis/{GROUP}/{inside}{KINDS[kind]}/{name}"


def read_object(kind: str, thing: dict[str, Any]) -> Object | None:
    """An object of the API, without its status and what Kubernetes keeps in it for itself."""
    metadata, spec = thing.get("metadata"), thing.get("spec")
    if not isinstance(metadata, dict) or not metadata.get("name"):
        return None
    kept = {key: metadata[key] for key in ("name", "namespace", "labels") if metadata.get(key)}
    document = {"apiVersion": GROUP, "kind": kind, "metadata": kept, "spec": spec if spec is not None else {}}
    generation = metadata.get("generation")
    return Object(
        kind,
        str(metadata.get("namespace", "")),
        str(metadata["name"]),
        str(metadata.get("uid", "")),
        generation if isinstance(generation, int) else 0,
        _text(document),
    )


def _text(document: dict[str, Any]) -> str:
    """Without line breaks: what is nested deep would grow with each line's indentation."""
    try:
        text = orjson.dumps(document)
    except TypeError:  # orjson writes 254 levels; a policy has 12
        return "# its spec is nested too deep"
    return text.decode() if len(text) <= LONGEST else f"# it is longer than {LONGEST} bytes"


def _bounded(objects: list[Object]) -> list[Object]:
    """The last ones without their text where all together are too long."""
    found, size = [], 0
    for one in objects:
        size += len(one.yaml)
        has_room = size <= ALL_BYTES
        found.append(
            one if has_room else one._replace(yaml=f"# all policies have more than {ALL_BYTES} bytes")
        )
    return found
