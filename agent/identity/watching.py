# SPDX-License-Identifier: Apache-2.0
"""List and watch of one kind of object, for as long as the process lives.

After a disconnection the watch goes on at the last resourceVersion (bookmarks move it while nothing happens);
what is too old for the server (410 Gone) is listed anew, and so is a kind of which nothing is heard for long:
a server whose etcd was restored has older versions than we know, and is silent about all that changes until
it comes to ours (tried with 1.34). Kubernetes documentation, "Kubernetes API Concepts: Efficient detection of
changes".
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from agent.identity.access import NoAccess
from agent.identity.listing import Lister
from agent.identity.rest import WHOLE, Api, ApiError, Quiet, Unreachable, explain

SILENT = 4
"""Watches one after the other that brought no word; then all is listed."""
SHORT_S = 1.0
"""A watch that a server ends so soon, in seconds; it is not asked for the next at once, nor by all nodes."""
GONE = 410
"""Status of a resourceVersion that is too old."""


class Resource(NamedTuple):
    """What is watched."""

    name: str
    """For health and errors."""
    path: str
    query: Mapping[str, str] = {}  # never changed
    """Selectors."""
    cached: bool = False
    """Whether a list may come from the server's cache (agent/identity/listing.py)."""
    accept: str = WHOLE
    """What the watch tells of each object; lists are whole."""


class Sink(Protocol):
    """Takes what a watch brings."""

    def replace(self, objects: list[dict[str, Any]]) -> None:
        """All that there are."""

    def change(self, kind: str, thing: dict[str, Any]) -> None:
        """One event: ADDED, MODIFIED or DELETED."""


class Sinks:
    """Several that get the same."""

    def __init__(self, *sinks: Sink) -> None:
        self._sinks = sinks

    def replace(self, objects: list[dict[str, Any]]) -> None:
        """All that there are."""
        for sink in self._sinks:
            sink.replace(objects)

    def change(self, kind: str, thing: dict[str, Any]) -> None:
        """One event."""
        for sink in self._sinks:
            sink.change(kind, thing)


class Health(NamedTuple):
    """How one watch is."""

    state: str
    """fresh, stale, off."""
    age_seconds: float
    """Since the API server last said something."""
    error: str


class Watch:
    """One list and watch."""

    def __init__(self, api: Api, resource: Resource, sink: Sink, stop: threading.Event | None = None) -> None:
        self.resource = resource
        self.listed = threading.Event()
        """Set once everything was listed."""
        self._api, self._sink = api, sink
        self._stop = stop or threading.Event()
        self._version = self._known = ""
        """Where a watch begins, empty: after a list; and the last version that we have had."""
        self._lister = Lister(api, resource.path, resource.query, self._heard, resource.cached)
        self._failures = self._short = self._silent = 0
        """Tries that failed, watches that were short, and those without a word, one after the other."""
        self._error = ""
        self._heard_s = time.monotonic()

    def run(self) -> None:
        """Until stopped. Nothing raises but a mistake of our own."""
        while not self._stop.is_set():
            try:
                self._round()
                self._failures, self._error = 0, ""
            except (ApiError, Unreachable, NoAccess) as error:
                self._failed(error)
            except (AttributeError, KeyError, TypeError, ValueError) as error:  # what came has another form
                self._version = ""
                self._failed(Unreachable(f"the API server sent what cannot be read: {error}"))

    def health(self) -> Health:
        """Its state of now."""
        age = round(time.monotonic() - self._heard_s, 3)
        is_fresh = self.listed.is_set() and not self._error and age < 2 * self._api.pace.quiet
        return Health("fresh" if is_fresh else "stale", age, self._error)

    def _round(self) -> None:
        if not self._version or self._silent >= SILENT:
            self._list()
        spread = random.uniform(0.8, 1.2)
        query = {
            **self.resource.query,
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(max(1, round(self._api.pace.watch * spread))),
        }
        began_s = time.monotonic()
        try:
            for event in self._api.watch(self.resource.path, query, self._answered, self.resource.accept):
                self._take(event)
                if self._stop.is_set():
                    return
        except Quiet:
            self._silent += 1
            return  # the next request tells whether the server is there
        self._heard()
        self._short = self._short + 1 if time.monotonic() - began_s < SHORT_S else 0
        if self._short:
            self._stop.wait(self._pause(self._short - 1))
        else:
            self._silent += 1

    def _list(self) -> None:
        objects, version = self._lister.all(self._known)
        self._sink.replace(objects)
        self._version = self._known = version
        self._error, self._silent = "", 0
        self.listed.set()

    def _take(self, event: dict[str, Any]) -> None:
        kind, thing = event.get("type"), event.get("object")
        if not isinstance(thing, dict):
            raise Unreachable("the API server sent an event without object")
        if kind == "ERROR":
            raise ApiError(int(thing.get("code") or 500), str(thing.get("message") or "unknown"))
        self._heard()
        self._failures = self._silent = 0
        self._error = ""
        if kind in ("ADDED", "MODIFIED", "DELETED"):
            self._sink.change(kind, thing)
        if version := (thing.get("metadata") or {}).get("resourceVersion"):
            self._version = self._known = str(version)

    def _failed(self, error: Exception) -> None:
        status = getattr(error, "status", 0)
        if status == GONE or status in (400, 404):
            self._version = ""
        if status == GONE and not self._failures:
            self._failures = 1
            return
        self._error = f"{self.resource.name}: {explain(error)}"
        pause = max(self._pause(self._failures), getattr(error, "after_s", 0.0))
        self._failures += 1
        self._stop.wait(pause)

    def _pause(self, before: int) -> float:
        """Seconds until the next try, after so many that failed before."""
        pace = self._api.pace
        return min(pace.longest, pace.first * 2.0 ** min(before, 10)) * random.uniform(0.5, 1.0)

    def _answered(self) -> None:
        """The server agreed to a watch. `_failures` stays: what it says next may be 410, each time."""
        self._heard()
        self._error = ""

    def _heard(self) -> None:
        self._heard_s = time.monotonic()
