# SPDX-License-Identifier: Apache-2.0
"""One container, and the place of a process in it: what events say of both.

The fields are those of Tetragon's `Pod` and `Container` (agent/api/proto/tetragon/tetragon.proto), in the
order of its JSON. What is the same for all processes of a container is encoded once.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from orjson import dumps

from agent.enrich.containers import ContainerRef
from agent.enrich.process import Process
from agent.enrich.text import join_arguments
from agent.events import IN_INIT_TREE

KNOWN, PENDING, UNKNOWABLE = "known", "pending", "unknowable"
KUBERNETES, BUNDLE = "kubernetes", "oci"
"""Sources of answers: the one that knows most, and the one that knows least."""
_POD_HEAD = ("namespace", "name", "uid")
_POD_TAIL = ("pod_labels", "workload", "workload_kind", "pod_annotations")
_OF_POD = (*_POD_HEAD, "workload", "workload_kind")
_CONTAINER_HEAD = ("id", "name", "image", "start_time")
_UNTOLD_MOST = 20_000
"""Processes of one pending container that are remembered; beyond, all living ones are looked at."""


class Home:
    """A container."""

    __slots__ = (
        "_told",
        "before",
        "behind",
        "cgroup",
        "cgroup_id",
        "container",
        "crowded",
        "gone_s",
        "init",
        "is_double",
        "namespace_labels",
        "nested",
        "own",
        "pod",
        "probes",
        "reason",
        "recorded",
        "ref",
        "since_s",
        "source",
        "state",
        "untold",
    )

    def __init__(self, ref: ContainerRef, cgroup: str, cgroup_id: int, now: float) -> None:
        self.ref = ref
        self.cgroup = cgroup
        """Its path in the hierarchy; empty when it is not known."""
        self.cgroup_id = cgroup_id
        """0 when it is not known."""
        self.nested: set[int] = set()
        """Ids of cgroups inside of it."""
        self.recorded: Mapping[str, Any] = {}
        """What the log was told of it last."""
        self.since_s = now
        """When it was met, monotonic seconds."""
        self.gone_s = 0.0
        """When its cgroup was removed; 0: it is there."""
        self.state = PENDING
        self.reason = ""
        """Why it is unknowable, or still pending."""
        self.source = ""
        self.container: Mapping[str, Any] = {}
        """`container` of the answer."""
        self.pod: Mapping[str, Any] = {}
        """Tetragon's Pod without `container`; empty outside of pods, or when it is not known."""
        self.namespace_labels: Mapping[str, str] = {}
        self.probes: frozenset[tuple[str, str]] = frozenset()
        """Exec probes: name of the binary and joined arguments."""
        self.is_double = False
        """Whether its cgroup has the name of another container, so that nobody can be asked about it."""
        self.init = ""
        """exec_id of the first process that was seen to come into it."""
        self.untold: list[Process] | None = []
        """Processes that were described before anything was known; None once it is."""
        self._told: Mapping[str, Any] | None = None
        self.crowded = False
        """Whether there were too many of them to remember."""
        self.before = self.behind = self.own = ""
        """JSON: the key `pod` of a process up to what is the process's own, and what follows on that; and
        what an exec says below `tracehound`."""
        self._encode()

    # What is known

    def take(
        self, told: Mapping[str, Any], redact: Callable[[list[str]], Iterable[str]] | None = None
    ) -> bool:
        """An answer; whether it says anything new."""
        if told == self._told:
            return False
        self._told = dict(told)
        before = self.update(), self.probes, self.namespace_labels
        self.state, self.reason = told["state"], str(told.get("reason") or "")
        self.source = str(told.get("source") or "")
        self.container = dict(told.get("container") or {})
        pod = told.get("pod") or {}
        if pod:
            self.pod = {key: pod[key] for key in (*_POD_HEAD, *_POD_TAIL) if pod.get(key)}
        self.namespace_labels = dict(told.get("namespace_labels") or {})
        self.probes = frozenset(_probe(words, redact) for words in told.get("probes") or () if words)
        self._encode()
        return (self.update(), self.probes, self.namespace_labels) != before

    @property
    def answer(self) -> Mapping[str, Any] | None:
        """The last answer as it came."""
        return self._told

    def take_pod(self, told: Mapping[str, Any]) -> bool:
        """What is told of its pod, before or after an answer; whether it is news."""
        if self.pod and self.pod.get("name") != told.get("name"):
            return False  # another pod of the same uid
        pod = {
            key: told[key]
            for key in ("namespace", "name", "uid", "workload", "workload_kind")
            if told.get(key)
        }
        labels = told.get("labels") or {}
        pod |= {"pod_labels": dict(labels)} if labels else {}
        kept = {key: self.pod[key] for key in ("pod_annotations",) if key in self.pod}
        if {**pod, **kept} == self.pod:
            return False
        self.pod = {**pod, **kept}
        self._encode()
        return True

    def give_up(self, reason: str) -> None:
        """Nobody answers."""
        self.state, self.reason = UNKNOWABLE, self.reason or reason
        self._encode()

    def update(self) -> dict[str, Any]:
        """Content of the record `container_update`."""
        content = {
            "id": self.ref.id,
            "state": self.state,
            "source": self.source,
            "reason": self.reason,
            "container": self.container,
            "pod": self.pod,
        }
        return {key: value for key, value in content.items() if value}

    def question(self) -> dict[str, Any]:
        """Content of the message `container`."""
        ref = self.ref
        return {
            "id": ref.id,
            "runtime": ref.runtime,
            "pod_uid": ref.pod_uid,
            "cgroup": self.cgroup,
            "cgroup_id": str(self.cgroup_id),
            "pid": 0,
        }

    def _encode(self) -> None:
        self.before = self.behind = ""
        if self.pod:
            container = {"id": self.ref.id, **self.container}
            head = {key: self.pod.get(key) for key in _POD_HEAD if self.pod.get(key)}
            inner = {key: container[key] for key in _CONTAINER_HEAD if container.get(key)}
            self.before = f',"pod":{{{_inside(head)},"container":{{{_inside(inner)}'
            secure = container.get("security_context")
            context = f',"security_context":{dumps(secure).decode()}' if secure else ""
            tail = {key: self.pod[key] for key in _POD_TAIL if self.pod.get(key)}
            self.behind = f"{context}}}{',' if tail else ''}{_inside(tail)}}}"
        self.own = self._encode_own()

    def _encode_own(self) -> str:
        if self.state != KNOWN:
            told = {"id": self.ref.id, "state": self.state}
            told |= {"reason": self.reason} if self.reason and self.state == UNKNOWABLE else {}
        elif self.pod:
            return ""
        else:
            told = {**self.container, "id": self.ref.id}
        return f',"container":{dumps(told).decode()}'

    # Its processes

    def came_from_outside(self, process: Process) -> bool:
        """Whether an image came into the container after its first process, or descends from one that did."""
        parent = process.parent
        # The image before knows more than the parent: runc makes a container's process with CLONE_PARENT.
        for place in (process.place, parent.place if parent is not None else None):
            if place is not None and place.home is self:
                return place.injected
        if not self.init:
            self.init = process.exec_id
            return False
        if process.flags & IN_INIT_TREE and parent is not None and parent.words == "unknown":
            return False  # the records of those between were lost; the kernel knows
        return process.exec_id != self.init

    def is_probe(self, process: Process) -> bool:
        """Whether it calls what a probe of the pod calls."""
        return (posixpath.basename(process.binary), process.arguments) in self.probes

    def remember(self, process: Process) -> None:
        """A process that is described before anything is known."""
        if self.untold is not None and len(self.untold) < _UNTOLD_MOST:
            self.untold.append(process)
        else:
            self.crowded = True

    def retell(self) -> None:
        """Processes that were described too early are described anew."""
        for process in self.untold or ():
            process.fragment = None
            if process.parent is not None:
                process.parent.fragment = None
            if self.probes and process.place is not None and process.place.injected:
                process.place.probe = self.is_probe(process)
        self.untold = [] if self.state == PENDING else None


class Place:
    """A process in a container."""

    __slots__ = ("home", "injected", "nspid", "probe")

    def __init__(self, home: Home, nspid: int, injected: bool) -> None:
        self.home = home
        self.nspid = nspid
        """Pid in its namespace; 0 in the host's."""
        self.injected = injected
        """Whether it, or an ancestor, came into the container from outside, after the first process."""
        self.probe = False
        """Whether it equals an exec probe of the pod."""

    def born(self, child: Process, nspid: int) -> None:
        """The same place for a child that was forked."""
        child.place = Place(self.home, nspid, self.injected)
        if self.home.untold is not None:
            self.home.remember(child)

    def pod_field(self) -> str:
        """The key `pod` of the process, behind a comma; empty when there is none to tell."""
        home = self.home
        if not home.before:
            return ""
        pid = f',"pid":{self.nspid}' if self.nspid else ""
        probe = ',"maybe_exec_probe":true' if self.probe else ""
        return f"{home.before}{pid}{probe}{home.behind}"

    def exec_fields(self) -> str:
        """What an exec says of it below `tracehound`, behind a comma."""
        return f'{self.home.own},"injected":true' if self.injected else self.home.own


def _inside(content: Mapping[str, Any]) -> str:
    return dumps(content).decode()[1:-1]


def _probe(words: list[str], redact: Callable[[list[str]], Iterable[str]] | None) -> tuple[str, str]:
    argv = list(redact(words)) if redact else list(words)
    return posixpath.basename(str(words[0])), join_arguments(argv)
