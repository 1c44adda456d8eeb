# SPDX-License-Identifier: Apache-2.0
"""Container runtimes, asked one after the other in a thread of their own. A source that hangs is left alone
for a while, so that it does not hold up the others."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from agent.identity.questions import Found, Question

RETRIES_S = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8)
"""A cgroup is made before its runtime knows the container: pauses until it is asked again, in seconds.
Together longer than a source that hung is left alone."""
BUNDLE = "oci"
"""The source that may know a container before its runtime does, but no labels of the pod."""
SURELY = 5
"""Tries in which a runtime that answers learns of a container that has a bundle."""
REST_S = 10.0
"""How long a source that did not answer is left alone, in seconds."""


class SourceError(Exception):
    """A source cannot tell now: absent, hanging, of an unknown version."""


class Source(Protocol):
    """One runtime."""

    name: str
    """cri, docker, podman, oci."""

    def find(self, question: Question) -> Found | None:
        """None: it does not know the container. Raises SourceError."""


class State(NamedTuple):
    """How a source is."""

    state: str
    """fresh, stale, off."""
    age_seconds: float
    error: str


class Runtimes:
    """All sources, and the questions that are open."""

    def __init__(
        self,
        sources: Sequence[Source],
        found: Callable[[Question, Found | None, str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`found` gets each question with what was found; with None at the end of all tries, and why."""
        self._sources, self._found, self._clock = sources, found, clock
        self._due: list[tuple[float, int, Question, int]] = []
        self._number = 0
        self._dropped: set[str] = set()
        self._wake = threading.Condition()
        self._resting: dict[str, float] = {}
        self._errors: dict[str, str] = {}
        self._heard: dict[str, float] = {}
        self._is_over = False

    def ask(self, question: Question, tries: int = 0) -> None:
        """Takes a question; the answer comes by `found`."""
        pause = RETRIES_S[tries - 1] if tries else 0.0
        with self._wake:
            self._number += 1
            heapq.heappush(self._due, (self._clock() + pause, self._number, question, tries))
            self._wake.notify()

    def run(self) -> None:
        """Until stopped."""
        while (taken := self._next()) is not None:
            question, tries = taken
            found = self._find(question)
            most = self._most_tries(found)
            if found or tries >= most:
                self._found(question, found, "" if found else self._reason())
            if tries < most:
                self.ask(question, tries + 1)

    def stop(self) -> None:
        """Ends `run`."""
        with self._wake:
            self._is_over = True
            self._wake.notify()

    def health(self) -> dict[str, State]:
        """Of each source that was ever asked."""
        now = self._clock()
        return {
            name: State(
                "stale" if self._errors.get(name) else "fresh",
                round(now - heard, 3),
                self._errors.get(name, ""),
            )
            for name, heard in list(self._heard.items())
        }

    def _next(self) -> tuple[Question, int] | None:
        with self._wake:
            while not self._is_over:
                wait = self._due[0][0] - self._clock() if self._due else None
                if wait is not None and wait <= 0:
                    _, _, question, tries = heapq.heappop(self._due)
                    return question, tries
                self._wake.wait(wait)
        return None

    def _find(self, question: Question) -> Found | None:
        for source in sorted(self._sources, key=lambda one: not _fits(one.name, question.runtime)):
            if self._resting.get(source.name, 0.0) > self._clock():
                continue
            try:
                found = source.find(question)
            except Exception as error:  # whatever one makes us stumble over, the others are asked
                known = isinstance(error, SourceError)
                self._errors[source.name] = str(error) if known else f"{type(error).__name__}: {error}"
                self._heard.setdefault(source.name, self._clock())
                self._resting[source.name] = self._clock() + REST_S
                continue
            self._heard[source.name], self._errors[source.name] = self._clock(), ""
            if found:
                return found
        return None

    def _most_tries(self, found: Found | None) -> int:
        """How often it is asked again. What a bundle tells is told at once, and runtimes are asked on."""
        others = [one.name for one in self._sources if one.name != BUNDLE]
        if found is None or (found.source == BUNDLE and any(self._errors.get(name) for name in others)):
            return len(RETRIES_S)
        return min(SURELY, len(RETRIES_S)) if found.source == BUNDLE and others else 0

    def _reason(self) -> str:
        if not self._sources:
            return "no container runtime's socket or state is here"
        wrong = [f"{name}: {error}" for name, error in self._errors.items() if error]
        return "; ".join(wrong) if wrong else "no container runtime knows it"


def _fits(name: str, runtime: str) -> bool:
    """Whether this source is asked first."""
    return name == {"docker": "docker", "podman": "podman", "libpod": "podman"}.get(runtime, "cri")
