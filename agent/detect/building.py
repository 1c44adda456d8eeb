# SPDX-License-Identifier: Apache-2.0
"""Rules are read and compiled in a thread of their own, while the ones before go on being evaluated."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from agent.detect.rules import Rule, RuleProblem
from agent.detect.services import Sources, sources_of

MOST_PROBLEMS = 20
"""Sentences about rules that cannot be used, in states and records; `tracehound rules check` has them all."""


class Wanted(NamedTuple):
    """Which rules the agent asked for."""

    paths: tuple[str, ...] = ()
    library: bool = False
    exceptions: tuple[str, ...] = ()
    sync_seconds: float = 1.0
    """After so long what was written is on disk, in seconds."""
    logs: Sources = Sources()
    """Which lines of logs are collected."""

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Wanted:
        """From `configure` of the link."""
        return cls(
            tuple(said["paths"]),
            bool(said["library"]),
            tuple(said["exceptions"]),
            float(said["sync_seconds"]),
            sources_of(said.get("logs") or {}),
        )


class Built(NamedTuple):
    """A compiled set of rules."""

    engine: Any
    """agent.detect.engine.Engine."""
    rules: tuple[Rule, ...]
    problems: tuple[RuleProblem, ...]
    useless: Mapping[str, str]
    """Of rules that cannot be evaluated here (agent/detect/needs.py), by id, why not."""
    version: str
    """First 12 hexadecimal digits of SHA-256 over the rules' ids and versions, and exceptions."""

    def content(self, wanted: Wanted, from_sequence: int) -> dict[str, Any]:
        """Of the `rules` record."""
        return {
            "version": self.version,
            "loaded": len(self.rules),
            "refused": len(self.problems),
            "not_evaluable": len(self.useless),
            "paths": list(wanted.paths),
            "library": wanted.library,
            "from_sequence": str(from_sequence),
            "problems": self.sentences(),
        }

    def sentences(self) -> list[str]:
        """What is wrong with some, in words."""
        return [str(problem) for problem in self.problems[:MOST_PROBLEMS]]


class Building:
    """One build. Look at `is_done`, then at `result`."""

    def __init__(self, wanted: Wanted, build: Callable[[Wanted], Built]) -> None:
        self.wanted = wanted
        self._build = build
        self._result: Built | None = None
        self._error = ""
        self._began_s = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="rules", daemon=True)
        self._thread.start()

    @property
    def is_done(self) -> bool:
        """Whether it has ended."""
        return not self._thread.is_alive()

    @property
    def age_s(self) -> float:
        """Seconds since it was begun."""
        return time.monotonic() - self._began_s

    def wait(self, seconds: float) -> None:
        """Until it has ended, at most so long."""
        self._thread.join(seconds)

    def result(self) -> tuple[Built | None, str]:
        """The set, or None and why there is none."""
        return self._result, self._error

    def _run(self) -> None:
        try:
            self._result = self._build(self.wanted)
        except Exception as error:  # the rules before stay, and the reason is told
            self._error = f"rules cannot be read: {type(error).__name__}: {error}"


def version_of(rules: Iterable[Rule], exceptions: Iterable[str] = ()) -> str:
    """Of a set: the same for the same rules, wherever their files stand, and the same exceptions."""
    told = "\n".join([*sorted(f"{rule.id} {rule.version}" for rule in rules), *sorted(exceptions)])
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def library_dir() -> Path:
    """Where the rules that come with Tracehound stand: beside the package in a checkout, else as
    installed."""
    import sysconfig

    beside = Path(__file__).parents[2] / "rules"
    return beside if beside.is_dir() else Path(sysconfig.get_path("data")) / "share" / "tracehound" / "rules"


def build(wanted: Wanted) -> Built:
    """Reads and compiles."""
    from agent.detect.engine import Engine
    from agent.detect.exceptions import read_exceptions
    from agent.detect.needs import State, judge
    from agent.detect.rules import read_rules

    paths = [*wanted.paths, *([str(library_dir())] if wanted.library else [])]
    found = read_rules(paths)
    exceptions = read_exceptions(wanted.exceptions)
    problems = (*found.problems, *exceptions.problems)
    version = version_of(found.rules, map(str, exceptions.all))
    useless = {
        one.rule.id: one.reason for one in judge(found.rules, logs=wanted.logs) if one.state is State.REFUSED
    }
    return Built(Engine(found.rules, exceptions), found.rules, problems, useless, version)
