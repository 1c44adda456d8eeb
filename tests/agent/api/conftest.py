# SPDX-License-Identifier: Apache-2.0
"""A log and an agent in a directory of their own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.agent.api.support import Agent, Log


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory whose path leaves room for a socket's name."""
    with tempfile.TemporaryDirectory(prefix="th-") as name:
        yield Path(name)


@pytest.fixture
def log(place: Path) -> Log:
    return Log(place / "log")


@pytest.fixture
def make_agent(place: Path, log: Log) -> Iterator[Callable[..., Agent]]:
    """Starts agents; keywords are settings of the API."""
    made: list[Agent] = []

    def make(**settings: Any) -> Agent:
        made.append(Agent(place, **settings))
        return made[-1]

    yield make
    for agent in made:
        agent.close()


@pytest.fixture
def agent(make_agent: Callable[..., Agent]) -> Agent:
    return make_agent()


@pytest.fixture
def channel(agent: Agent) -> Iterator[grpc.Channel]:
    with agent.channel() as opened:
        yield opened
