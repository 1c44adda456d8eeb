# SPDX-License-Identifier: Apache-2.0
"""A real child behind a real address."""

import os
import select
import signal
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

import pytest

from agent import metering as module
from agent.errors import AlreadyRunning
from agent.metering import Metering
from agent.settings import MetricsSettings
from tests.agent.api.support import Log, exists
from tests.agent.metrics.support import STATE


class Agent:
    """The part of the agent's loop that concerns metrics."""

    def __init__(self, log: Log) -> None:
        self.notices: list[str] = []
        self.asked: list[str] = []
        settings = MetricsSettings(listen="127.0.0.1:0", labels=("binary",))
        self.metering = Metering(settings, str(log.directory), "nobody", self._answer, self.notices.append)

    def _answer(self, question: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(question["request"])
        return {**STATE, "pid": os.getpid()} if question["request"] == "status" else {"policies": []}

    def turn(self) -> None:
        self.metering.tick()
        for fd in self.metering.filenos():
            if select.select([fd], [], [], 0.01)[0]:
                self.metering.handle(fd)

    def get(self, path: str, wanted: str = "", seconds: float = 20.0) -> tuple[int, str]:
        """A page, in a thread of its own while the loop turns; again until it holds what is wanted."""
        from concurrent.futures import ThreadPoolExecutor

        deadline = time.monotonic() + seconds
        with ThreadPoolExecutor(1) as pool:
            while True:
                page = pool.submit(_get, self.metering.address[1], path)
                while not page.done():
                    self.turn()
                status, text = page.result()
                if wanted in text and status:
                    return status, text
                assert time.monotonic() < deadline, text


def _get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except (URLError, ConnectionError):
        return 0, ""


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "log")


@pytest.fixture
def agent(log: Log) -> Iterator[Agent]:
    made = Agent(log)
    yield made
    made.metering.close()


def test_the_page_holds_what_the_agent_says_and_what_the_log_holds(agent: Agent, log: Log) -> None:
    agent.get("/metrics", "tracehound_up 1.0")
    log.exec(7)
    _, page = agent.get("/metrics", 'tracehound_events_total{binary="/bin/ls",type="process_exec"} 1.0')
    assert 'process="metrics"' in page and 'process="agent"' in page


def test_probes_are_answered_by_status_codes(agent: Agent) -> None:
    assert agent.get("/readyz")[0] == 200


def test_only_a_few_questions_are_answered(agent: Agent) -> None:
    assert "error" in agent.metering._answered({"request": "policy_delete", "key": "p"})
    assert agent.asked == []


def test_one_that_was_killed_is_started_again(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.05)
    agent.get("/healthz")
    os.kill(agent.metering.pid, signal.SIGKILL)
    while not agent.notices:
        agent.turn()
    assert agent.notices == ["the metrics process ended by signal 9; it is started again in 0.05 s"]
    agent.get("/healthz")
    assert agent.metering.starts == 2


def test_one_that_fails_again_and_again_is_started_less_and_less(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MODULE", "agent.metrics.no_such_module")
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.01)
    while len(agent.notices) < 3:
        agent.turn()
    assert [notice.rpartition(" in ")[2] for notice in agent.notices] == ["0.01 s", "0.02 s", "0.04 s"]


def test_it_ends_with_the_agent(agent: Agent) -> None:
    agent.get("/healthz")
    pid = agent.metering.pid
    agent.metering.close()
    assert not exists(pid)


def test_an_address_that_is_taken_is_an_error_at_the_start(agent: Agent, log: Log) -> None:
    settings = MetricsSettings(listen=f"127.0.0.1:{agent.metering.address[1]}")
    with pytest.raises(AlreadyRunning, match=r"metrics\.listen"):
        Metering(settings, str(log.directory), "", dict, agent.notices.append)
