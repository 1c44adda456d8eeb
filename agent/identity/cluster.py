# SPDX-License-Identifier: Apache-2.0
"""What the watches have brought: pods of this node, labels of namespaces and of the node. Thread-safe."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from agent.identity.pods import Pod, read_pod
from agent.identity.text import clean, clean_map

KEPT_S = 600.0
"""How long a deleted pod stays known: its containers' last events may be read long after their end."""
KEPT = 4096
"""Most deleted pods that stay known."""

MOST_RUNS = 16
"""Former containers of a pod of which the API tells nothing any more, but whose last events may come."""


class Match(NamedTuple):
    """Who a container is."""

    pod: Pod
    container: dict[str, Any] | None
    """Its fields; None: the kubelet has not reported the container yet."""


class Pods:
    """Pods of this node, by uid and by their containers' ids."""

    def __init__(
        self,
        changed: Callable[[Pod, bool], None],
        annotations: Iterable[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`changed` is called for each pod that came, changed (False) or was deleted (True)."""
        self._changed, self._annotations, self._clock = changed, tuple(annotations), clock
        self._lock = threading.Lock()
        self._pods: dict[str, Pod] = {}
        self._deleted: OrderedDict[str, tuple[float, Pod]] = OrderedDict()
        self._containers: dict[str, Pod] = {}

    def replace(self, objects: list[dict[str, Any]]) -> None:
        """All pods that there are; others are gone."""
        found = [pod for pod in (read_pod(one, self._annotations) for one in objects) if pod.uid]
        pods: dict[str, Pod] = {}
        for pod in found:
            if pod.uid not in pods or not self._is_taken(pod):
                pods[pod.uid] = pod
        with self._lock:
            gone = [pod for uid, pod in self._pods.items() if uid not in pods]
        for pod in gone:
            self._delete(pod)
        for pod in pods.values():
            self._put(pod)

    def change(self, kind: str, thing: dict[str, Any]) -> None:
        """One event of the watch."""
        pod = read_pod(thing, self._annotations)
        if not pod.uid or self._is_taken(pod):
            return
        if kind == "DELETED":
            self._delete(pod)
        else:
            self._put(pod)

    def find(self, container: str, pod_uid: str) -> Match | None:
        """By the container's id, else by the pod's uid. An id of another pod than the cgroup says is
        nobody's."""
        with self._lock:
            pod = self._containers.get(container)
            if pod is not None and pod_uid and pod.uid != pod_uid:
                pod = None
            if pod is not None:
                return Match(pod, pod.containers.get(container))
            pod = self._pods.get(pod_uid)
            if pod is None and pod_uid in self._deleted:
                pod = self._deleted[pod_uid][1]
            return None if pod is None else Match(pod, None)

    def _is_taken(self, pod: Pod) -> bool:
        """Whether another pod that is there has this uid: somebody made a mirror of the node's static pod,
        which the kubelet soon deletes."""
        with self._lock:
            known = self._pods.get(pod.uid)
        return known is not None and (known.namespace, known.name) != (pod.namespace, pod.name)

    def current(self) -> list[Pod]:
        """All that are not deleted."""
        with self._lock:
            return list(self._pods.values())

    def _put(self, pod: Pod) -> None:
        with self._lock:
            before = self._pods.get(pod.uid)
            known = before or self._deleted.pop(pod.uid, (0.0, None))[1]
            runs = (
                {id_: one for id_, one in known.containers.items() if id_ not in pod.containers}
                if known
                else {}
            )
            for id_ in list(runs)[:-MOST_RUNS]:
                del runs[id_]
                self._containers.pop(id_, None)
            pod = pod._replace(containers={**runs, **pod.containers})
            self._pods[pod.uid] = pod
            self._containers.update(dict.fromkeys(pod.containers, pod))
        if pod != before:
            self._changed(pod, False)

    def _delete(self, pod: Pod) -> None:
        with self._lock:
            known = self._pods.pop(pod.uid, pod)
            pod = pod._replace(containers={**known.containers, **pod.containers})
            self._deleted[pod.uid] = self._clock(), pod
            self._containers.update(dict.fromkeys(pod.containers, pod))
            self._forget()
        self._changed(pod, True)

    def _forget(self) -> None:
        while self._deleted:
            uid, (since, pod) = next(iter(self._deleted.items()))
            if len(self._deleted) <= KEPT and self._clock() - since < KEPT_S:
                return
            del self._deleted[uid]
            for id_ in pod.containers:
                if self._containers.get(id_) is pod:
                    del self._containers[id_]


class Labels:
    """Labels of cluster-wide things, by name: namespaces, the node."""

    def __init__(self, changed: Callable[[str], None]) -> None:
        """`changed` is called with the name of each whose labels are others now."""
        self._changed = changed
        self._labels: dict[str, dict[str, str]] = {}
        self._is_listed = False

    def replace(self, objects: list[dict[str, Any]]) -> None:
        """All that there are."""
        self._is_listed = True
        found = dict(_labelled(one) for one in objects)
        before, self._labels = self._labels, found
        for name in before.keys() | found.keys():
            if before.get(name) != found.get(name):
                self._changed(name)

    def change(self, kind: str, thing: dict[str, Any]) -> None:
        """One event of the watch."""
        name, labels = _labelled(thing)
        if kind == "DELETED":
            self._labels.pop(name, None)
        elif self._labels.get(name) != labels:
            self._labels[name] = labels
            self._changed(name)

    def of(self, name: str) -> dict[str, str]:
        """Empty for one that is not known."""
        return self._labels.get(name, {})

    def lacks(self, name: str) -> bool:
        """Whether all were told, and this one is not among them."""
        return self._is_listed and name not in self._labels


def _labelled(thing: dict[str, Any]) -> tuple[str, dict[str, str]]:
    metadata = thing.get("metadata")
    if not isinstance(metadata, dict):
        return "", {}
    return clean(metadata.get("name")), clean_map(metadata.get("labels"))
