# SPDX-License-Identifier: Apache-2.0
"""Pods of Kubernetes' API, reduced to what events and policies need."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from agent.identity.text import IMAGE, allowed, clean, clean_map, without_empty
from agent.identity.workloads import workload_of

_STATUSES = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
_SPECS = ("containers", "initContainers", "ephemeralContainers")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
MIRRORED, MIRROR = "kubernetes.io/config.hash", "kubernetes.io/config.mirror"
"""Annotations of the pods that a kubelet runs from files: by the first, not by the uid of the object, it
names their cgroups. The second has the same value and makes an object a mirror, of which a kubelet never runs
anything (Kubernetes pkg/kubelet/types/constants.go; pkg/kubelet/pod/mirror_client.go)."""
_HASH = re.compile("[0-9a-f]{32}")
"""MD5, never a uid of the API server's (pkg/kubelet/config/common.go, applyDefaults): whoever may create pods
writes their annotations, and must not be able to speak for another pod."""
ARGUMENTS = 64
"""Words of a probe's command."""
CONTAINERS = 128
"""Containers of a pod; so many more are left out."""


class Pod(NamedTuple):
    """One pod."""

    uid: str
    """By which the kubelet names its cgroup."""
    namespace: str
    name: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    """Those that may be shown."""
    workload: str
    workload_kind: str
    containers: Mapping[str, dict[str, Any]]
    """By container id, as far as the kubelet has reported them: name, image, start_time, security_context."""
    probes: Mapping[str, tuple[tuple[str, ...], ...]]
    """Commands of exec probes, by container name."""

    def told(self) -> dict[str, Any]:
        """As `pod` of an answer, without container."""
        return without_empty(
            {
                "namespace": self.namespace,
                "name": self.name,
                "uid": self.uid,
                "pod_labels": dict(self.labels),
                "pod_annotations": dict(self.annotations),
                "workload": self.workload,
                "workload_kind": self.workload_kind,
            }
        )

    def notice(self, deleted: bool = False) -> dict[str, Any]:
        """As the message `pod`."""
        containers = [{"id": id_, **fields} for id_, fields in self.containers.items()]
        told = {"uid": self.uid, "namespace": self.namespace, "name": self.name, "labels": dict(self.labels)}
        about = {"workload": self.workload, "workload_kind": self.workload_kind}
        return {**told, **about, "containers": containers, "deleted": deleted}


def read_pod(thing: Mapping[str, Any], annotations: Iterable[str] = ()) -> Pod:
    """A pod object; nothing in it is trusted to have the right form."""
    metadata, spec, status = (_mapping(thing.get(name)) for name in ("metadata", "spec", "status"))
    notes = _mapping(metadata.get("annotations"))
    workload = workload_of({**metadata, "labels": _mapping(metadata.get("labels"))})
    specs = {clean(one.get("name")): one for one in _entries(spec, _SPECS)}
    return Pod(
        uid=_mirrored(notes) or clean(metadata.get("uid")),
        namespace=clean(metadata.get("namespace")),
        name=clean(metadata.get("name")),
        labels=clean_map(metadata.get("labels")),
        annotations=allowed(notes, annotations),
        workload=clean(workload.name),
        workload_kind=clean(workload.kind),
        containers=dict(_containers(status, specs)),
        probes=dict(_probes(specs)),
    )


def _mirrored(notes: Mapping[str, Any]) -> str:
    """By what a mirror's cgroups are named; empty for every other pod."""
    found = notes.get(MIRRORED)
    is_mirror = isinstance(found, str) and notes.get(MIRROR) == found and _HASH.fullmatch(found)
    return str(found) if is_mirror else ""


def _containers(status: Mapping[str, Any], specs: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """By id. The run before, too: its last events may still come."""
    for found in _entries(status, _STATUSES):
        fields = _described(_mapping(specs.get(clean(found.get("name")))), found)
        before = _mapping(_mapping(found.get("lastState")).get("terminated"))
        if last := container_id(before.get("containerID")):
            yield last, without_empty({**fields, "start_time": clean(before.get("startedAt"))})
        if now := container_id(found.get("containerID")):
            yield now, fields


def _described(spec: Mapping[str, Any], status: Mapping[str, Any]) -> dict[str, Any]:
    state = _mapping(status.get("state"))
    ran = _mapping(state.get("running")) or _mapping(state.get("terminated"))
    image = {
        "id": clean(status.get("imageID"), IMAGE),
        "name": clean(status.get("image") or spec.get("image"), IMAGE),
    }
    is_privileged = _mapping(spec.get("securityContext")).get("privileged") is True
    return without_empty(
        {
            "name": clean(status.get("name") or spec.get("name")),
            "image": without_empty(image),
            "start_time": clean(ran.get("startedAt")),
            "security_context": {"privileged": True} if is_privileged else {},
        }
    )


def _probes(specs: Mapping[str, Any]) -> Iterator[tuple[str, tuple[tuple[str, ...], ...]]]:
    for name, spec in specs.items():
        commands = (_mapping(_mapping(spec.get(probe)).get("exec")).get("command") for probe in _PROBES)
        found = tuple(
            tuple(clean(word, 4096) for word in command[:ARGUMENTS])
            for command in commands
            if isinstance(command, list) and command
        )
        if found:
            yield name, found


def container_id(text: object) -> str:
    """`containerd://<id>` without the runtime's name."""
    return clean(text).rpartition("//")[2]


def _entries(part: Mapping[str, Any], names: Iterable[str]) -> list[Mapping[str, Any]]:
    return [one for name in names for one in _mappings(part.get(name))][:CONTAINERS]


def _mappings(found: object) -> list[Mapping[str, Any]]:
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _mapping(found: object) -> Mapping[str, Any]:
    return found if isinstance(found, dict) else {}
