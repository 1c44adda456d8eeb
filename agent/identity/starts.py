# SPDX-License-Identifier: Apache-2.0
"""Containers that a runtime holds until the agent knows them. One thread waits here, another brings the
agent's word; how long it may take is bounded for all of them together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import Any

from agent.identity.text import clean

PATIENCE_S = 1.0
"""Longest that a start waits for the agent, in seconds. Runtimes drop a plugin after two (containerd/nri
pkg/api/timeouts.go), and let nothing else start meanwhile (pkg/adaptation/adaptation.go: one lock)."""


class Starts:
    """Used by one thread besides the one that calls `take`."""

    def __init__(self, tell: Callable[[str, dict[str, Any]], None], fail_closed: Iterable[str] = ()) -> None:
        """`tell` hands a message about a container on to the agent; `fail_closed`: shell patterns of the
        namespaces whose containers do not start without its word."""
        self._tell, self._fail_closed = tell, tuple(fail_closed)
        self._wake = threading.Condition()
        self._number = 0
        self._held: dict[int, str] = {}
        """What the agent said, by number: empty, or what went wrong."""
        self._is_late = False
        """Whether the agent owes an answer: others are not held up for it a second time."""
        self.counts = {"held": 0, "late": 0, "refused": 0}
        """Starts for which policies held in time, those for which they may not have, and those that were
        refused for it."""

    def hold(self, id_: str, message: dict[str, Any], namespace: str, within_s: float = PATIENCE_S) -> str:
        """Waits for the agent; why the start is to be refused, empty for one that may go on."""
        is_closed = self._is_closed(namespace)
        with self._wake:
            patience = 0.0 if self._is_late and not is_closed else min(within_s, PATIENCE_S)
            problem = self._ask(id_, message, patience)
            self.counts["held" if problem == "" else "late"] += 1
            return self._refusal(namespace, problem) if problem != "" and is_closed else ""

    def create(self, id_: str, namespace: str, within_s: float = PATIENCE_S) -> str:
        """Before a container is made whose namespace is fail-closed: whether the agent is there at all. Not
        every runtime lets a plugin refuse a start."""
        if not self._is_closed(namespace):
            return ""
        with self._wake:
            problem = self._ask(id_, {}, min(within_s, PATIENCE_S))
            return self._refusal(namespace, problem) if problem != "" else ""

    def _is_closed(self, namespace: str) -> bool:
        return any(fnmatchcase(namespace, pattern) for pattern in self._fail_closed)

    def _ask(self, id_: str, message: dict[str, Any], patience_s: float) -> str | None:
        """What the agent says; None when it says nothing in time."""
        self._number += 1
        number = self._number
        self._tell(id_, {"starting": {"number": number, **message}})
        self._wake.wait_for(lambda: number in self._held, patience_s)
        problem = self._held.pop(number, None)
        self._is_late = problem is None
        return problem

    def _refusal(self, namespace: str, problem: str | None) -> str:
        self.counts["refused"] += 1
        reason = "the agent did not answer in time" if problem is None else problem
        return f"tracehound: namespace {clean(namespace)} is fail-closed: {reason}"

    def take(self, told: Any) -> None:
        """The agent's word: message `held`."""
        number, error = told.get("number"), clean(told.get("error"), 300)
        with self._wake:
            if number == self._number:  # others are not waited for any more
                self._held = {number: error}
            self._is_late = False
            self._wake.notify_all()
