# SPDX-License-Identifier: Apache-2.0
"""The child's parts, and its conversation with the agent (docs/containers.md)."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from agent.identity.cluster import KEPT_S, Labels, Pods
from agent.identity.options import Options
from agent.identity.outbox import Outbox
from agent.identity.pods import Pod
from agent.identity.questions import Found, Question, answer, is_whole, read_question, unknowable
from agent.identity.runtimes import Runtimes, Source

LONGEST_LINE = 8 << 20
"""Bytes of one message of the agent."""
HEALTH_S = 5.0
"""How often the state is told, in seconds."""
MOST = 32768
"""Containers that are remembered."""
_LITTLE = {"oci": 0, "nri": 1}
"""Sources that tell less than others do: a bundle has no labels of the pod, NRI no digest of the image."""
MOST_EARLY = 4096
"""Containers that are known before the agent asks for them."""


class Child:
    """Answers questions about containers from what Kubernetes and the runtimes tell."""

    def __init__(self, options: Options, write: Callable[[bytes], object], sources: list[Source]) -> None:
        """`write` takes one message for the agent."""
        self.options = options
        self.outbox = Outbox(write)
        self.pods = Pods(self._pod_changed, options.annotations)
        self.namespaces = Labels(self._namespace_changed)
        self.nodes = Labels(self._node_changed)
        self.runtimes = Runtimes(sources, self._looked_up)
        self.on_status: Callable[[Mapping[str, Any]], None] = lambda status: None
        """Takes the agent's message `status`."""
        self.on_held: Callable[[Mapping[str, Any]], None] = lambda held: None
        """Takes the agent's message `held`."""
        self.asks_kubernetes = False
        """Whether answers of Kubernetes may still come."""
        self._lock = threading.RLock()
        self._questions: OrderedDict[str, Question] = OrderedDict()
        self._by_pod: dict[str, set[str]] = {}
        self._found: dict[str, Found] = {}
        self._early: OrderedDict[str, Found] = OrderedDict()
        self._sent: dict[str, dict[str, Any]] = {}
        self._gone: OrderedDict[str, float] = OrderedDict()

    def take(self, message: Mapping[str, Any]) -> None:
        """One message of the agent."""
        if isinstance(container := message.get("container"), dict):
            if question := read_question(container):
                self._ask(question)
        elif isinstance(gone := message.get("gone"), str):
            with self._lock:
                self._gone[gone] = time.monotonic()
                self._forget()
        elif isinstance(status := message.get("status"), dict):
            self.on_status(status)
        elif isinstance(held := message.get("held"), dict):
            self.on_held(held)

    def learn(self, found: Found) -> None:
        """A runtime told of a container by itself. What was asked for counts more."""
        id_ = found.container["id"]
        with self._lock:
            question = self._questions.get(id_)
            if question is None:
                self._early[id_] = found
                self._early.move_to_end(id_)
                if len(self._early) > MOST_EARLY:
                    self._early.popitem(last=False)
            elif self._keep(found):
                self._answer(question)

    def _keep(self, found: Found) -> bool:
        """Unless more is known; whether it was kept."""
        id_ = found.container["id"]
        known = self._found.get(id_)
        if known is not None and _LITTLE.get(found.source, 2) < _LITTLE.get(known.source, 2):
            return False
        self._found[id_] = found
        return True

    def starting(self, question: Question, found: Found) -> dict[str, Any] | None:
        """The answer for a container that the agent has not asked for, or will."""
        self.learn(found)
        with self._lock:
            return self._known(question)

    def _ask(self, question: Question) -> None:
        with self._lock:
            self._gone.pop(question.id, None)
            if self._questions.get(question.id, question).pod_uid != question.pod_uid:
                self._drop(question.id)
            self._sent.pop(question.id, None)
            if (early := self._early.pop(question.id, None)) is not None:
                self._keep(early)
            self._questions[question.id] = question
            self._questions.move_to_end(question.id)
            self._by_pod.setdefault(question.pod_uid, set()).add(question.id)
            self._forget()
            told = self._answer(question)
        if not is_whole(told):
            self.runtimes.ask(question)

    def _answer(self, question: Question) -> dict[str, Any] | None:
        """Tells what is known, if it is news."""
        told = self._known(question)
        if told is not None and told != self._sent.get(question.id):
            self._sent[question.id] = told
            self.outbox.put(f"answer {question.id}", {"answer": told})
        return told

    def _known(self, question: Question) -> dict[str, Any] | None:
        match = self.pods.find(question.id, question.pod_uid)
        found = self._found.get(question.id) or self._early.get(question.id)
        space = match.pod.namespace if match else (found.pod.get("namespace", "") if found else "")
        return answer(question, match, found, self.namespaces.of(space))

    def _looked_up(self, question: Question, found: Found | None, reason: str) -> None:
        """Of the runtimes."""
        with self._lock:
            if self._questions.get(question.id) != question:
                return
            if found:
                self._keep(found)
            if self._answer(question) is None:
                if question.id in self._gone:
                    reason = "it was gone before it could be looked up"
                told = unknowable(question, reason)
                if self.asks_kubernetes and question.pod_uid and question.id not in self._gone:
                    told = {**told, "state": "pending"}
                self.outbox.put(f"answer {question.id}", {"answer": told})

    def _pod_changed(self, pod: Pod, is_deleted: bool) -> None:
        self.outbox.put(f"pod {pod.uid}", {"pod": pod.notice(is_deleted)})
        with self._lock:
            ids = {*pod.containers, *self._by_pod.get(pod.uid, ())}
            for question in [self._questions[id_] for id_ in sorted(ids) if id_ in self._questions]:
                self._answer(question)

    def _namespace_changed(self, name: str) -> None:
        with self._lock:
            for pod in self.pods.current():
                if pod.namespace == name:
                    ids = {*pod.containers, *self._by_pod.get(pod.uid, ())}
                    for question in [self._questions[id_] for id_ in sorted(ids) if id_ in self._questions]:
                        self._answer(question)

    def _node_changed(self, name: str) -> None:
        self.outbox.put("node", {"node": {"labels": self.nodes.of(name)}})

    def _forget(self) -> None:
        """Containers that are gone for long, and the oldest when there are too many."""
        now = time.monotonic()
        while self._gone and (now - next(iter(self._gone.values())) > KEPT_S or len(self._gone) > MOST):
            self._drop(self._gone.popitem(last=False)[0])
        while len(self._questions) > MOST:
            self._drop(next(iter(self._questions)))

    def _drop(self, id_: str) -> None:
        question = self._questions.pop(id_, None)
        self._found.pop(id_, None)
        self._sent.pop(id_, None)
        if question and (ids := self._by_pod.get(question.pod_uid)) is not None:
            ids.discard(id_)
            if not ids:
                del self._by_pod[question.pod_uid]


def read_messages(sock: socket.socket) -> Iterator[dict[str, Any]]:
    """The agent's lines until it closes its end. What is no message is passed over."""
    with sock.makefile("rb") as file:
        while line := file.readline(LONGEST_LINE):
            try:
                message = orjson.loads(line)
            except ValueError:
                continue
            if isinstance(message, dict):
                yield message


def start(name: str, work: Callable[[], None]) -> None:
    """A thread. When it dies of a mistake of ours the whole child ends, and the agent starts it anew."""

    def guarded() -> None:
        try:
            work()
        except Exception:
            traceback.print_exc(file=sys.stderr)
            os._exit(70)

    threading.Thread(target=guarded, name=name, daemon=True).start()
