# SPDX-License-Identifier: Apache-2.0
"""The agent's questions and what is known about each: Kubernetes' answer and a runtime's, put together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from agent.identity.cluster import Match
from agent.identity.text import clean, without_empty


class Question(NamedTuple):
    """One container that the agent has seen."""

    id: str
    runtime: str = ""
    """As its cgroup's name says: containerd, crio, docker, podman; empty when it does not."""
    pod_uid: str = ""
    """As its cgroup says, with dashes; empty outside of pods."""
    cgroup: str = ""
    pid: int = 0
    """A process of it, in the host's numbers; 0 when none is known."""


class Found(NamedTuple):
    """What a container runtime says."""

    source: str
    """cri, docker, podman, oci, nri."""
    container: dict[str, Any]
    """id, name, image, start_time, security_context."""
    pod: dict[str, Any]
    """namespace, name, uid, pod_labels; empty outside of pods."""


def read_question(message: Mapping[str, Any]) -> Question | None:
    """The content of a message `container`; None without an id."""
    id_ = clean(message.get("id"))
    pid = message.get("pid")
    if not id_:
        return None
    return Question(
        id_,
        clean(message.get("runtime")),
        clean(message.get("pod_uid")).replace("_", "-"),
        clean(message.get("cgroup"), 4096),
        pid if isinstance(pid, int) and pid > 0 else 0,
    )


def answer(
    question: Question, match: Match | None, found: Found | None, namespace_labels: Mapping[str, str]
) -> dict[str, Any] | None:
    """The answer that both make together; None while neither knows it. What says another pod than the cgroup
    does is left out."""
    if found and question.pod_uid and found.pod.get("uid") not in (None, "", question.pod_uid):
        found = None
    if match is None and found is None:
        return None
    container = _container(question, match, found)
    told: dict[str, Any] = {"id": question.id, "state": "known", "container": container}
    if match:
        told["source"] = "kubernetes"
        told["pod"] = {**match.pod.told(), "container": container}
        told["namespace_labels"] = dict(namespace_labels)
        told["probes"] = [list(words) for words in match.pod.probes.get(container.get("name", ""), ())]
    elif found:
        told["source"] = found.source
        if found.pod:
            told["pod"] = {**found.pod, "container": container}
            told["namespace_labels"] = dict(namespace_labels)
    return without_empty(told)


def is_whole(told: Mapping[str, Any] | None) -> bool:
    """Whether nothing is left to ask a runtime for. NRI tells no digest of the image."""
    container = told["container"] if told else {}
    return bool(container.get("name") and container.get("image", {}).get("id"))


def unknowable(question: Question, reason: str) -> dict[str, Any]:
    """The answer when nobody knows it."""
    return {"id": question.id, "state": "unknowable", "reason": reason}


def _container(question: Question, match: Match | None, found: Found | None) -> dict[str, Any]:
    """Kubernetes' word counts first; a runtime fills in what is missing."""
    by_runtime = found.container if found else {}
    by_kubernetes = (match.container if match else None) or {}
    image = {**by_runtime.get("image", {}), **by_kubernetes.get("image", {})}
    return without_empty({**by_runtime, **by_kubernetes, "image": image, "id": question.id})
