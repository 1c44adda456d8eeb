# SPDX-License-Identifier: Apache-2.0
"""The agent's table of containers: which there are, what is known of each, and who has to be told anew.

A container is `pending` from the moment its cgroup is made until somebody answers for it, then `known` or
`unknowable` with the reason. What was known stays known. Nothing here waits or asks: questions stand in
`asking`, what has changed in `news`, and agent.following carries them out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from agent.enrich.containers import ContainerRef, container_id_from_cgroup, read_process_cgroup
from agent.enrich.home import BUNDLE, KNOWN, KUBERNETES, PENDING, UNKNOWABLE, Home, Place
from agent.enrich.process import Process
from agent.enrich.text import to_text
from agent.events import CgroupChange

__all__ = ["KNOWN", "PENDING", "UNKNOWABLE", "Home", "Place", "Registry", "Seen"]

_STATES = (KNOWN, PENDING, UNKNOWABLE)
_NESTED_MOST = 65536
"""Cgroups inside of containers that are remembered; a container may make as many as it likes."""
_PODS_MOST = 8192
_ID = 64


class Seen(NamedTuple):
    """A cgroup of a container that was there before us (agent.kernel.containers)."""

    cgroup_id: int
    container: int
    """Id of the container's cgroup; the same for its own."""
    path: str


class Registry:
    """Containers by id and by cgroup. `now` gives monotonic seconds."""

    def __init__(self, now: Callable[[], float] = lambda: 0.0) -> None:
        self.by_id: dict[str, Home] = {}
        self.by_cgroup: dict[int, Home] = {}
        """Of every cgroup in a container, nested ones as well."""
        self.by_path: dict[str, Home] = {}
        """Containers by their cgroup's path."""
        self.asking: list[Home] = []
        """Those that nobody was asked about yet."""
        self.news: dict[str, Home] = {}
        """Those of which something has changed that the log, or policies, have to know, by id."""
        self.gone: list[Home] = []
        """Those whose cgroup was removed lately, and that the child was not told of."""
        self.unnamed: list[Home] = []
        """Those that the kernel does not know for containers by their cgroup's name."""
        self.is_there: Callable[[Home], bool] = lambda home: False
        """Whether the cgroup of a container still is there; asked when a second one has its name."""
        self.redact: Callable[[list[str]], Iterable[str]] | None = None
        """Takes the words of a probe to what events show of them."""
        self._now = now
        self._pods: dict[str, Mapping[str, Any]] = {}
        self._by_pod: dict[str, dict[str, Home]] = {}
        self._stale = False

    # What the kernel tells

    def change(self, event: CgroupChange) -> None:
        """A cgroup was made or removed."""
        if event.is_removed:
            self._removed(event.cgroup_id)
        else:
            self.seen(Seen(event.cgroup_id, event.container, to_text(event.path)[0]))

    def seen(self, cgroup: Seen) -> None:
        """A cgroup; nothing happens when it is no container's."""
        if cgroup.cgroup_id in self.by_cgroup:
            return
        above = self.by_cgroup.get(cgroup.container) if cgroup.container != cgroup.cgroup_id else None
        if above is not None:
            if len(self.by_cgroup) < _NESTED_MOST:
                self.by_cgroup[cgroup.cgroup_id] = above
                above.nested.add(cgroup.cgroup_id)
            return
        ref = container_id_from_cgroup(cgroup.path)
        own = self.by_id.get(ref.id) if ref is not None else None
        if own is not None and own.cgroup_id and cgroup.path.startswith(f"{own.cgroup}/"):
            own.nested.add(cgroup.cgroup_id)
            self.by_cgroup[cgroup.cgroup_id] = own  # inside of a container that has only a name
            return
        if ref is None and cgroup.container:
            name = cgroup.path.rpartition("/")[2].removesuffix(".scope")
            ref = ContainerRef(name[-_ID:])
        if ref is not None:
            home = self._add(ref, cgroup.path, cgroup.cgroup_id)
            if not cgroup.container and home.cgroup_id == cgroup.cgroup_id:
                self.unnamed.append(home)

    def expect(self, id_: str, cgroup: str, cgroup_id: int, pod_uid: str = "") -> Home:
        """A container that is about to start, as its runtime says; `cgroup_id`: 0 while it has none."""
        found = container_id_from_cgroup(cgroup) or ContainerRef(id_)
        return self._add(ContainerRef(id_, found.runtime, pod_uid or found.pod_uid), cgroup, cgroup_id)

    def _removed(self, cgroup_id: int) -> None:
        home = self.by_cgroup.pop(cgroup_id, None)
        if home is not None:
            home.nested.discard(cgroup_id)
        if home is not None and home.cgroup_id == cgroup_id:
            home.gone_s = self._now()
            self.gone.append(home)
            self.news[home.ref.id] = home

    def _add(self, ref: ContainerRef, path: str, cgroup_id: int) -> Home:
        home = self.by_id.get(ref.id)
        if home is not None and cgroup_id and home.cgroup_id not in (0, cgroup_id):
            if not home.gone_s and self.is_there(home):
                return self._double(ref, path, cgroup_id)
            self._forget(ref.id, home)  # it was started once more: another cgroup, and another first process
            home = None
        if home is None:
            home = self.by_id[ref.id] = Home(ref, path, cgroup_id, self._now())
            self.asking.append(home)
            if ref.pod_uid:
                self._by_pod.setdefault(ref.pod_uid, {})[ref.id] = home
                if pod := self._pods.get(ref.pod_uid):
                    home.take_pod(pod)
            self.news[ref.id] = home
        if cgroup_id:
            if not home.cgroup_id:
                home.cgroup_id = cgroup_id
                self.news[ref.id] = home
            self.by_cgroup[cgroup_id] = home
            self.by_path[home.cgroup] = home
        return home

    def _double(self, ref: ContainerRef, path: str, cgroup_id: int) -> Home:
        """A second cgroup with the name of a container that is there. Whoever may make cgroups may call them
        so; it is a container of its own, of which nobody is asked."""
        home = self._add(ref._replace(id=f"{cgroup_id}:{ref.id}"), path, cgroup_id)
        self.asking = [one for one in self.asking if one is not home]
        home.is_double = True
        home.give_up(f"its cgroup has the name of another container that is there: {ref.id}")
        return home

    # Processes

    def settle(self, process: Process, cgroup_id: int, named: str, nspid: int) -> None:
        """Gives an image that was just executed its place. `named`: the container that its cgroup's name
        tells."""
        home = self.home_of(process, cgroup_id, named)
        if home is not None:
            self.enter(process, home, nspid)

    def home_of(self, process: Process, cgroup_id: int, named: str) -> Home | None:
        """The container: of its cgroup, else of the image before it, else its parent's."""
        home = self.by_cgroup.get(cgroup_id)
        if home is None and named:
            home = self.by_id.get(named) or self._named(named, cgroup_id, process.tgid)
        if home is None and process.place is not None:
            home = process.place.home
        if home is None and process.parent is not None and process.parent.place is not None:
            home = process.parent.place.home
        return home

    def enter(self, process: Process, home: Home, nspid: int) -> Place:
        """The image's place. Who comes into a container from outside after its first process did not come
        about in it: `nsenter`, `docker exec`, `kubectl exec`."""
        place = process.place = Place(home, nspid, home.came_from_outside(process))
        process.container = home.ref.id
        if home.probes and place.injected:
            place.probe = home.is_probe(process)
        if home.untold is not None:
            home.remember(process)
        return place

    def _named(self, id_: str, cgroup_id: int, pid: int) -> Home:
        """A container whose cgroup nobody told of: /proc may still know where it is."""
        cgroup = read_process_cgroup(pid)
        ref = container_id_from_cgroup(cgroup.path) if cgroup else None
        if cgroup is None or ref is None or ref.id != id_:
            return self._add(ContainerRef(id_), "", cgroup_id)
        return self._add(ref, cgroup.path, cgroup_id)

    # What the child tells

    def answer(self, told: Mapping[str, Any]) -> None:
        """The message `answer`. What is about another pod than the cgroup's, or about nobody, is not
        believed. A runtime's word does not replace that of Kubernetes, nor a bundle's a runtime's: they are
        what a child has first when it was started anew, and policies would lose the pod's labels."""
        home, state = self.by_id.get(str(told.get("id"))), told.get("state")
        if home is None or state not in _STATES:
            return
        if home.state == KNOWN and (state != KNOWN or _worth(told.get("source")) < _worth(home.source)):
            return
        pod = told.get("pod") or {}
        if home.ref.pod_uid and pod.get("uid") not in (None, "", home.ref.pod_uid):
            return
        is_new = home.take(told, self.redact)
        if home.source != KUBERNETES and (known := self._pods.get(home.ref.pod_uid)):
            is_new = home.take_pod(known) or is_new
        if is_new:
            self._changed(home)

    def pod(self, told: Mapping[str, Any]) -> None:
        """The message `pod`: what it says counts for its containers before they are answered for."""
        uid = str(told.get("uid") or "")
        if told.get("deleted"):
            self._pods.pop(uid, None)
            return
        if not uid or (uid not in self._pods and len(self._pods) >= _PODS_MOST):
            return
        self._pods[uid] = told
        for home in self._by_pod.get(uid, {}).values():
            if home.take_pod(told):
                self._changed(home)

    def pod_uids(self) -> set[str]:
        """Of the pods of which there are containers."""
        return set(self._by_pod)

    def pods(self) -> dict[str, Mapping[str, Any]]:
        """What `pod` was told of those of which there are containers, by uid."""
        return {uid: told for uid, told in self._pods.items() if uid in self._by_pod}

    def _changed(self, home: Home) -> None:
        self.news[home.ref.id] = home
        self._stale = self._stale or home.untold is None or home.crowded  # there may be many, or none
        home.retell()

    def retell(self, living: Iterable[Process]) -> None:
        """After changes of containers that were known: their processes are described anew."""
        if not self._stale:
            return
        self._stale = False
        changed = {id(home) for home in self.news.values()}
        for process in living:
            if process.place is not None and id(process.place.home) in changed:
                process.fragment = None
                if process.parent is not None:
                    process.parent.fragment = None

    # Time

    def expire(self, patience_s: float, why: str) -> None:
        """Nobody answered: those that are pending for too long become unknowable. Those that are gone for as
        long are forgotten."""
        now = self._now()
        for id_, home in list(self.by_id.items()):
            if home.state == PENDING and now - home.since_s >= patience_s:
                home.give_up(why)
                self._changed(home)
            if home.state != PENDING and home.gone_s and now - home.gone_s >= patience_s:
                self._forget(id_, home)

    def ask_again(self) -> None:
        """After the child was started anew: it knows nothing."""
        self.asking = [
            home
            for home in self.by_id.values()
            if (not home.gone_s or home.state == PENDING) and not home.is_double
        ]

    def _forget(self, id_: str, home: Home) -> None:
        del self.by_id[id_]
        if self.by_path.get(home.cgroup) is home:
            del self.by_path[home.cgroup]
        of_pod = self._by_pod.get(home.ref.pod_uid, {})
        of_pod.pop(id_, None)
        if not of_pod:
            self._by_pod.pop(home.ref.pod_uid, None)
        for number in (home.cgroup_id, *home.nested):
            if self.by_cgroup.get(number) is home:
                del self.by_cgroup[number]


def _worth(source: object) -> int:
    """How much an answer counts by where it comes from."""
    return {KUBERNETES: 2, BUNDLE: 0}.get(str(source), 1)
