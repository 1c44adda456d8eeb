# SPDX-License-Identifier: Apache-2.0
"""Containers by what their runtime keeps on disk: the OCI bundle's config.json. No daemon need run.

Sources: OCI runtime specification, config.md ("annotations", "root", "process"); containerd
pkg/cri/annotations; CRI-O pkg/annotations; the places are those of the runtimes' defaults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from agent.identity.questions import Found, Question
from agent.identity.text import IMAGE, clean, without_empty

LONGEST = 16 << 20
"""Bytes of a file that is read. A pod of 1.5 MB of control characters makes one of 9 MB."""
BUNDLES = (
    "run/containerd/io.containerd.runtime.v2.task/k8s.io/{id}",
    "run/containerd/io.containerd.runtime.v2.task/moby/{id}",
    "run/containerd/io.containerd.runtime.v2.task/*/{id}",
    "run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/{id}",
    "run/k0s/containerd/io.containerd.runtime.v2.task/k8s.io/{id}",
    "var/snap/microk8s/common/run/containerd/io.containerd.runtime.v2.task/k8s.io/{id}",
    "run/containers/storage/overlay-containers/{id}/userdata",
    "var/lib/containers/storage/overlay-containers/{id}/userdata",
)
STATES = (
    "run/runc/{id}/state.json",
    "run/crun/{id}/status",
    "run/docker/runtime-*/moby/{id}/state.json",
    "run/containerd/runc/*/{id}/state.json",
)
"""Files of the low-level runtimes that name the bundle."""
_NAMES = ("io.kubernetes.cri.container-name", "io.kubernetes.container.name", "io.podman.annotations.name")
_IMAGES = (
    "io.kubernetes.cri.image-name",
    "io.kubernetes.cri-o.ImageName",
    "org.opencontainers.image.ref.name",
)
_POD = {
    "namespace": ("io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace"),
    "name": ("io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name"),
    "uid": ("io.kubernetes.cri.sandbox-uid", "io.kubernetes.pod.uid"),
}


class Bundles:
    """The state directories under one root."""

    name = "oci"

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    def find(self, question: Question) -> Found | None:
        """By the container's id."""
        if not question.id.replace("-", "").replace("_", "").isalnum():
            return None
        for directory in self._bundles(question.id):
            config = _read(directory / "config.json")
            if config:
                return _found(question, config)
        return None

    def _bundles(self, id_: str) -> Iterator[Path]:
        for pattern in BUNDLES:
            yield from sorted(self._root.glob(pattern.format(id=id_)))
        for pattern in STATES:
            for file in sorted(self._root.glob(pattern.format(id=id_))):
                if bundle := _bundle(_read(file)):
                    yield self._root / bundle.lstrip("/")


def _bundle(state: Mapping[str, Any]) -> str:
    """crun says it at once; runc as the label `bundle=PATH` (libcontainer/specconv)."""
    if isinstance(state.get("bundle"), str):
        return str(state["bundle"])
    config = state.get("config")
    labels = config.get("labels") if isinstance(config, dict) else None
    for label in labels if isinstance(labels, list) else ():
        if isinstance(label, str) and label.startswith("bundle="):
            return label.removeprefix("bundle=")
    return ""


def _found(question: Question, config: Mapping[str, Any]) -> Found:
    found = config.get("annotations")
    notes: Mapping[str, Any] = found if isinstance(found, dict) else {}
    image = clean(_first(notes, _IMAGES), IMAGE)
    container = {
        "id": question.id,
        "name": clean(_first(notes, _NAMES)),
        "image": {"name": image} if image else {},
    }
    pod = {name: clean(_first(notes, keys)) for name, keys in _POD.items()}
    return Found("oci", without_empty(container), without_empty(pod))


def _first(notes: Mapping[str, Any], names: tuple[str, ...]) -> object:
    return next((notes[name] for name in names if notes.get(name)), "")


def _read(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            found = orjson.loads(file.read(LONGEST))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
