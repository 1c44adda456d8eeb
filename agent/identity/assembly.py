# SPDX-License-Identifier: Apache-2.0
"""Which parts the child has here, and their threads. What a machine does not have is not loaded."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from agent.identity.access import NoAccess, find_access
from agent.identity.bundles import Bundles
from agent.identity.child import HEALTH_S, Child, read_messages, start
from agent.identity.options import Options
from agent.identity.runtimes import Source
from agent.identity.sockets import runtimes

if TYPE_CHECKING:
    from agent.identity.access import Access
    from agent.identity.neighbours import Neighbours
    from agent.identity.plugin import Plugin
    from agent.identity.policies import PolicySet
    from agent.identity.reports import Reports
    from agent.identity.rest import Api, Pace
    from agent.identity.starts import Starts
    from agent.identity.watching import Resource, Sink, Watch


class Assembly:
    """The whole child."""

    def __init__(self, options: Options, sock: socket.socket, pace: Pace | None = None) -> None:
        self._sock, self._pace = sock, pace
        self._stop = threading.Event()
        sources: list[Source] = [*runtimes(options.sockets), Bundles()] if options.runtimes else []
        self.child = Child(options, sock.sendall, sources)
        self._watches: list[Watch] = []
        self._reports: Reports | None = None
        self._policies: PolicySet | None = None
        self._neighbours: Neighbours | None = None
        self._plugin: Plugin | None = None
        self._starts: Starts | None = None
        self._kubernetes_error = ""

    def run(self) -> None:
        """Until the agent closes its end."""
        start("outbox", self.child.outbox.run)
        start("runtimes", self.child.runtimes.run)
        if self.child.options.nri:
            self._start_plugin()
        self._start_kubernetes()
        start("health", self._tell_health)
        try:
            for message in read_messages(self._sock):
                self.child.take(message)
        except OSError:
            pass  # the agent is gone
        finally:
            self._stop.set()
            if self._plugin:
                self._plugin.stop()
            self.child.outbox.stop()
            self.child.runtimes.stop()

    def _start_plugin(self) -> None:
        from agent.identity.nri import Start, cgroup_of
        from agent.identity.plugin import Plugin
        from agent.identity.starts import Starts

        child, options = self.child, self.child.options
        self._starts = starts = Starts(
            lambda id_, message: child.outbox.put(f"starting {id_}", message, at_once=True),
            options.nri_fail_closed,
        )
        child.on_held = starts.take

        def starting(one: Start, within_s: float) -> str:
            id_, uid = one.question.id, one.question.pod_uid
            container = {"id": id_, "pod_uid": uid, "cgroup": cgroup_of(one.question)}
            told = {"container": container, "answer": child.starting(one.question, one.found)}
            return starts.hold(id_, told, one.found.pod.get("namespace", ""), within_s)

        def creating(one: Start, within_s: float) -> str:
            return starts.create(one.question.id, one.found.pod.get("namespace", ""), within_s)

        self._plugin = Plugin(
            options.nri,
            lambda one: child.learn(one.found),
            starting,
            creating if options.nri_fail_closed else None,
            options.nri_required,
            options.annotations,
        )
        start("nri", self._plugin.run)

    def _start_kubernetes(self) -> None:
        try:
            access = find_access(self.child.options)
            if access is not None:
                self._watch(access)
                self.child.asks_kubernetes = True
            self._kubernetes_error = ""
        except NoAccess as error:
            self._kubernetes_error = str(error)

    def _watch(self, access: Access) -> None:
        from agent.identity.rest import Api, Pace
        from agent.identity.watching import Resource, Watch

        api, options = Api(access, self._pace or Pace()), self.child.options
        watched: list[tuple[Resource, Sink]] = [
            (_of_node("pods", "spec.nodeName", options.node, cached=True), self.child.pods),
            (Resource("namespaces", "/api/v1/namespaces", cached=True), self.child.namespaces),
            (_of_node("nodes", "metadata.name", options.node), self.child.nodes),  # one key of etcd
        ]
        if options.policies:
            watched += self._follow_policies(api, options.node)
        self._watches = [Watch(api, what, sink, self._stop) for what, sink in watched]
        for watch in self._watches:
            start(f"watch {watch.resource.name}", watch.run)

    def _follow_policies(self, api: Api, node: str) -> list[tuple[Resource, Sink]]:
        from agent.identity.neighbours import KindOfNeighbours, Neighbours
        from agent.identity.policies import KINDS, PolicySet, path_of, resource
        from agent.identity.reports import Reports
        from agent.identity.sparse import Sparse
        from agent.identity.summaries import Summaries
        from agent.identity.watching import Sinks

        self._policies = policies = PolicySet(lambda message: self.child.outbox.put("policies", message))
        nodes, summaries = self.child.nodes, Summaries(api)
        self._reports = Reports(
            api, node, policies.objects, is_gone=lambda: nodes.lacks(node), looked=summaries.look
        )
        self._neighbours = neighbours = Neighbours(api, node, self._stop, summaries.look)
        self.child.on_status = self._reports.take
        start("reports", self._reports.run)
        start("summaries", summaries.run)
        start("neighbours", neighbours.run)
        found: list[tuple[Resource, Sink]] = []
        for kind in KINDS:
            sinks = Sinks(policies.sink(kind), KindOfNeighbours(neighbours, kind))
            found.append((resource(kind), Sparse(api, partial(path_of, kind), sinks)))
        return found

    def _tell_health(self) -> None:
        before: Mapping[str, Any] = {}
        while not self._stop.wait(0.2 if not before else HEALTH_S):
            if self._kubernetes_error:  # a file that was missing may have come
                self._start_kubernetes()
            before = self.health()
            self.child.outbox.put("health", {"health": before})

    def health(self) -> dict[str, Any]:
        """State of the API server's watches, together, and of each runtime."""
        state = "stale" if self._kubernetes_error else "off"
        off = {"state": state, "age_seconds": 0.0, "error": self._kubernetes_error}
        told: dict[str, Any] = {"kubernetes": off}
        states = [watch.health() for watch in self._watches]
        if states:
            wrong = [one.error for one in states if one.error]
            wrong += [
                one.error for one in (self._reports, self._neighbours, self._policies) if one and one.error
            ]
            stale = [one for one in states if one.state == "stale"]
            told["kubernetes"] = {
                "state": "stale" if stale else "fresh",
                "age_seconds": max(one.age_seconds for one in states),
                "error": "; ".join(wrong),
            }
        if self._plugin and self._starts:
            told["nri"] = self._plugin.health()._asdict() | {"counts": dict(self._starts.counts)}
        return told | {name: state._asdict() for name, state in self.child.runtimes.health().items()}


def assemble(options: Options, sock: socket.socket, pace: Pace | None = None) -> Assembly:
    """The child on its socket."""
    return Assembly(options, sock, pace)


def _of_node(kind: str, field: str, node: str, cached: bool = False) -> Resource:
    from agent.identity.watching import Resource

    return Resource(kind, f"/api/v1/{kind}", {"fieldSelector": f"{field}={node}"}, cached)
