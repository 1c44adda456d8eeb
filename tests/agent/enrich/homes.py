# SPDX-License-Identifier: Apache-2.0
"""Containers and answers about them, for tests."""

from __future__ import annotations

from typing import Any

from agent.enrich.process import Process
from agent.enrich.registry import Registry, Seen

ID, OTHER = "c0" * 32, "d1" * 32
UID = "11111111-2222-3333-4444-555555555555"
PATH = f"/kubepods/besteffort/pod{UID}/{ID}"
POD = {
    "namespace": "shop",
    "name": "web-1",
    "uid": UID,
    "pod_labels": {"app": "web"},
    "workload": "web",
    "workload_kind": "Deployment",
}
CONTAINER = {
    "id": ID,
    "name": "nginx",
    "image": {"id": "sha256:ab", "name": "docker.io/library/nginx:1.27"},
    "start_time": "2026-01-01T00:00:00Z",
    "security_context": {"privileged": True},
}


def answer(**changed: Any) -> dict[str, Any]:
    """As the child gives it."""
    pod = {**POD, "container": CONTAINER}
    return {"id": ID, "state": "known", "source": "kubernetes", "container": CONTAINER, "pod": pod} | changed


class Clock:
    """Monotonic seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def registry(clock: Clock | None = None) -> Registry:
    """One container of a pod is there."""
    made = Registry(clock or Clock())
    made.seen(Seen(7, 7, PATH))
    return made


def process(pid: int, parent: Process | None = None, *, flags: int = 0) -> Process:
    """An image."""
    made = Process(pid, pid * 10, f"exec-{pid}", parent)
    made.flags, made.binary, made.words = flags, "/bin/cat", "execve"
    return made
