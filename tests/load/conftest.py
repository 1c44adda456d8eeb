# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the load tests; what they hand out is described in support.py."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.load.support import TRACEHOUND, Agent, Cgroup, Load, Record, StartAgent


@pytest.fixture
def start_agent(tmp_path: Path) -> Iterator[StartAgent]:
    """Starts agents: `start_agent("name", prefix=[…], kernel={…}, …)`, sections of settings as keywords.
    What still runs at the end is killed."""
    yield from starting(tmp_path)


@pytest.fixture(scope="module")
def start_agent_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartAgent]:
    """The same, for a story that several tests look at."""
    yield from starting(tmp_path_factory.mktemp("agents"))


def starting(place: Path) -> Iterator[StartAgent]:
    with ExitStack() as stack:

        def start(
            name: str = "agent",
            prefix: list[str] | None = None,
            command: list[str] | None = None,
            **settings: Any,
        ) -> Agent:
            directory = place / name
            whole: Record = {"node_name": "n", "api": {"socket": ""}, "run_dir": str(directory), **settings}
            whole["log"] = {"dir": str(directory / "log"), **settings.get("log", {})}
            whole["redaction"] = {"key_file": str(directory / "key")}
            agent = Agent(directory, whole, prefix or [], command or [str(TRACEHOUND)])
            stack.callback(agent.kill)
            agent.start()
            return agent

        yield start


@pytest.fixture(scope="session")
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    """The load generator, compiled once."""
    return Load(tmp_path_factory.mktemp("load"))


@pytest.fixture
def cgroup() -> Iterator[Callable[[str], Cgroup]]:
    """Makes a cgroup: `cgroup("cpu")`."""
    made: list[Cgroup] = []

    def make(controller: str) -> Cgroup:
        made.append(Cgroup(controller, f"load-test-{os.getpid()}-{len(made)}"))
        return made[-1]

    yield make
    for group in made:
        group.remove()
