# SPDX-License-Identifier: Apache-2.0
"""What is shown: the agent's state, by its answer or by its file, and the metrics made of everything."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import orjson

from agent.log.times import parse_time
from agent.metrics import exporters, policies, processes, state
from agent.metrics.counting import Counting
from agent.metrics.family import GAUGE, Family, single
from agent.metrics.link import Link
from agent.metrics.probes import Finding, examine

FRESH_S = 1.0
"""How long an answer is used again, in seconds: many scrapers are one question."""
FILE = "status.json"


class Told(NamedTuple):
    """The agent's state at a moment."""

    state: Mapping[str, Any] | None
    """None when neither an answer nor the file told it."""
    age_s: float
    """How old it is, in seconds."""
    answered: bool
    """Whether the agent itself answered."""
    took_s: float
    """How long it took to answer, in seconds."""


class Board:
    """For several threads."""

    def __init__(self, log_dir: str, link: Link, counting: Counting | None) -> None:
        self._file = Path(log_dir) / FILE
        self._link, self._counting = link, counting
        self._told: Told | None = None
        self._policies: Mapping[str, Any] = {}
        self._asked_s = 0.0
        self._lock = Lock()

    def findings(self) -> list[Finding]:
        """For the probes."""
        told = self._fresh()
        return examine(told.state, told.age_s)

    def families(self) -> list[Family]:
        """For a scrape."""
        told = self._fresh()
        found: list[Iterable[Family]] = [
            [
                single("up", GAUGE, "Whether the agent answered.", told.answered),
                single("answer_seconds", GAUGE, "How long the agent took to answer.", told.took_s),
            ]
        ]
        if told.state is not None:
            found += [state.families(told.state), exporters.families(told.state)]
            if "policies" in self._policies:
                found.append(policies.families(self._policies))
            if isinstance(told.state.get("pid"), int):
                found.append(processes.families(told.state["pid"]))
        if self._counting is not None:
            found.append(self._counting.families())
        return list(chain.from_iterable(found))

    def _fresh(self) -> Told:
        with self._lock:
            if self._told is None or time.monotonic() - self._asked_s > FRESH_S:
                self._told = self._ask()
                self._asked_s = time.monotonic()
            return self._told

    def _ask(self) -> Told:
        began = time.monotonic()
        answer = self._link.ask("status")
        took = time.monotonic() - began
        if answer is not None:
            self._policies = self._link.ask("policies") or self._policies
            return Told(answer, 0.0, True, took)
        try:
            written = orjson.loads(self._file.read_bytes())
            age = time.time() - parse_time(str(written["updated"])) / 1e9
            return Told(written, abs(age), False, took)
        except (OSError, ValueError, KeyError, TypeError):
            return Told(None, float("inf"), False, took)
