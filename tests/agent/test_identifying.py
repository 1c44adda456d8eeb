# SPDX-License-Identifier: Apache-2.0
"""The child that looks containers up: started when needed, listened to, started again, never waited for."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from agent import identifying
from agent.identifying import Identifying

SCRIPT = Path(__file__).with_name("scripted_child.py")


class Agent:
    """What the agent would do with it."""

    def __init__(self) -> None:
        self.said: list[Mapping[str, Any]] = []
        self.notices: list[str] = []
        self.children = 0
        self.link: Identifying

    def begin(self, mode: str) -> Identifying:
        command = (str(SCRIPT), mode)
        takers = {"answer": self._take, "echo": self.said.append}
        self.link = Identifying(lambda: "{}", takers, self._started, self.notices.append, command)
        return self.link

    def until(self, holds: Callable[[], object]) -> bool:
        deadline = time.monotonic() + 30
        while not holds() and time.monotonic() < deadline:
            if select.select(self.link.filenos(), [], [], 0.05)[0]:
                self.link.handle()
            self.link.tick(time.monotonic())
        return bool(holds())

    def _take(self, told: Mapping[str, Any]) -> None:
        self.said.append(dict(told))

    def _started(self) -> None:
        self.children += 1


@pytest.fixture
def agent() -> Iterator[Agent]:
    made = Agent()
    yield made
    made.link.close()


def question(id_: str = "a" * 64) -> dict[str, Any]:
    return {"container": {"id": id_, "pod_uid": "u"}}


def test_there_is_no_child_before_there_is_a_question(agent: Agent) -> None:
    link = agent.begin("at once")
    link.tick(time.monotonic())
    assert not link.is_running and not list(link.problems())


def test_a_question_is_answered(agent: Agent) -> None:
    link = agent.begin("at once")
    link.want()
    link.say(question())
    assert agent.until(lambda: agent.said)
    assert agent.said[0]["pod"]["name"] == "pod-" + "a" * 64


def test_many_messages_arrive_whole_and_in_order(agent: Agent) -> None:
    link = agent.begin("echo")
    link.want()
    for number in range(3000):
        link.say({"number": number, "text": "ü" * 50})
    assert agent.until(lambda: len(agent.said) == 3000)
    assert [message["number"] for message in agent.said] == list(range(3000))


def test_a_child_that_is_killed_is_started_again_and_everything_is_asked_again(agent: Agent) -> None:
    link = agent.begin("echo")
    link.want()
    os.kill(link.state()["pid"], signal.SIGKILL)
    assert agent.until(lambda: agent.children == 2)
    assert "killed by signal 9" in agent.notices[0]


def test_one_that_dies_again_and_again_is_given_longer_and_longer_pauses(agent: Agent) -> None:
    link = agent.begin("dies")
    link.want()

    def asked_thrice() -> bool:
        if link.is_running:
            link.say(question())
        return agent.children == 3

    began = time.monotonic()
    assert agent.until(asked_thrice)
    assert time.monotonic() - began >= 3 * identifying.FIRST_PAUSE_S
    assert list(link.problems()) or link.is_running


def test_one_that_is_silent_is_ended_and_started_again(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identifying, "SILENT_S", 0.2)
    agent.begin("hangs").want()
    assert agent.until(lambda: agent.children == 2)
    assert "silent" in agent.notices[0]


def test_one_that_does_not_read_is_not_waited_for(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identifying, "MOST_UNSENT", 100_000)
    link = agent.begin("hangs")
    link.want()
    for _ in range(100):
        link.say({"text": "x" * 10_000})
    assert agent.until(lambda: agent.children == 2)
    assert "does not read" in agent.notices[0]


def test_what_is_no_message_is_noticed_and_the_rest_counts(agent: Agent) -> None:
    link = agent.begin("babbles")
    link.want()
    link.say(question())
    assert agent.until(lambda: agent.said)
    assert len(agent.notices) == 5 and link.is_running


def test_one_that_says_nothing_but_nonsense_is_started_anew_and_fills_no_journal(agent: Agent) -> None:
    agent.begin("storms").want()
    assert agent.until(lambda: agent.children == 2)
    first = agent.notices[: agent.notices.index(next(one for one in agent.notices if "killed" in one))]
    assert len(first) == identifying.MOST_NONSENSE


def test_a_health_of_another_form_never_reaches_probes(agent: Agent) -> None:
    link = agent.begin("ill")
    link.want()
    assert agent.until(lambda: link.health)
    assert link.health == {
        "cri": {"state": "1", "age_seconds": 2.0, "error": "", "counts": {"late": 3}},
    }
    assert "AttributeError" in agent.notices[0] or "TypeError" in agent.notices[0]


def test_its_health_is_a_matter_of_ours(agent: Agent) -> None:
    link = agent.begin("at once")
    link.want()
    link.health = {"kubernetes": {"state": "stale", "error": "401"}, "cri": {"state": "fresh"}}
    assert list(link.problems()) == ["containers: kubernetes does not answer: 401"]


def test_at_the_end_the_child_is_gone(agent: Agent) -> None:
    link = agent.begin("hangs")
    link.want()
    pid = link.state()["pid"]
    link.close()
    assert not Path(f"/proc/{pid}").exists()
