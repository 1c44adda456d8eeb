# SPDX-License-Identifier: Apache-2.0
"""Who tells, as attributes of an OTLP resource (semantic conventions 1.44: service.*, host.*, k8s.node.*,
k8s.cluster.*). What belongs to single records (k8s.pod.*, container.*) is among their attributes."""

from __future__ import annotations

import os
from collections.abc import Mapping

from exporters.base import Document

_IN_POD = "KUBERNETES_SERVICE_HOST"
"""A variable that every container of a pod has (Kubernetes documentation, "Discovering services")."""


class Resources:
    """Learns of each node what its records say."""

    def __init__(self, version: str, host_id: str, more: Mapping[str, str]) -> None:
        """`host_id`: machine id of the log, empty when not known; `more` goes before what was learnt."""
        self._known = {"service.name": "tracehound", "service.version": version}
        if host_id:
            self._known["host.id"] = host_id
        self._more = more
        self._clusters: dict[str, str] = {}
        self._is_in_pod = _IN_POD in os.environ
        self._kubernetes: set[str] = set()

    def learn(self, document: Document) -> None:
        """Take notice of the name of the cluster, and of a pod: only nodes of Kubernetes have any."""
        record, node = document.record, document.node_name
        cluster = record.get("cluster_name")
        if isinstance(cluster, str) and cluster:
            self._clusters[node] = cluster
        if node not in self._kubernetes and (self._is_in_pod or _has_pod(record)):
            self._kubernetes.add(node)

    def of(self, node: str) -> dict[str, str]:
        """The attributes of a node's records."""
        found = {**self._known, "host.name": node}
        if node in self._kubernetes:
            found["k8s.node.name"] = node
        if cluster := self._clusters.get(node):
            found["k8s.cluster.name"] = cluster
        return {**found, **self._more}


def _has_pod(record: Mapping[str, object]) -> bool:
    content = next(iter(record.values()), None)
    process = content.get("process") if isinstance(content, dict) else None
    return isinstance(process, dict) and bool(process.get("pod"))
