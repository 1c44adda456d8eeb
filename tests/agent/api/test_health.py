# SPDX-License-Identifier: Apache-2.0
from typing import Any

import pytest

from agent.api.health import SILENT, State, judge

DETACHED = [{"name": "exec", "attached": True}, {"name": "exit", "attached": False}]


@pytest.mark.parametrize(
    ("status", "state", "text"),
    [
        ({}, State.OK, "running"),
        ({"state": "running", "lost_recent": {"ring_full": 0}, "ring": {"fill": 0.1}}, State.OK, "running"),
        ({"log": {"state": "ok"}, "shed_step": 0}, State.OK, "running"),
        ({"state": "stopping"}, State.STOPPED, "stopped: the agent is stopping"),
        ({"programs": DETACHED}, State.DEGRADED, "degraded: not attached: exit"),
        ({"programs": DETACHED[1:]}, State.FAILED, "failed: no program is attached"),
        (
            {"lost_recent": {"ring_full": 2, "map_full": 1}},
            State.DEGRADED,
            "degraded: events lost in the last minute: 1 by map_full, 2 by ring_full",
        ),
        ({"shed_step": 2}, State.DEGRADED, "degraded: overload: shedding step 2"),
        ({"ring": {"fill": 0.8}}, State.DEGRADED, "degraded: the ring buffer is 80% full"),
        ({"log": {"state": "vanished"}}, State.DEGRADED, "degraded: the log cannot be written: vanished"),
        ({"log": {"state": "x", "error": "no"}}, State.DEGRADED, "degraded: the log cannot be written: no"),
        ({"log": {"queued_bytes": 5}}, State.DEGRADED, "degraded: 5 bytes wait for the disk"),
    ],
)
def test_each_finding_leads_to_its_verdict(status: dict[str, Any], state: State, text: str) -> None:
    health = judge(status)
    assert (health.state, health.text) == (state, text)


def test_the_worst_finding_decides_and_all_are_named() -> None:
    lost = {"lost_recent": {"queue_full": 5}}
    health = judge({"programs": DETACHED, "log": {"state": "vanished"}, "ring": {"fill": 0.9}, **lost})
    assert health.state is State.FAILED
    assert len(health.reasons) == 4


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ({"state": "ok", "reasons": []}, "running"),
        ({"state": "ok", "reasons": ["fine"]}, "running"),
        ({"state": "degraded", "reasons": ["a", "b"]}, "degraded: a; b"),
        ({"state": "failed"}, "failed: no reason given"),
        ({"state": "dizzy"}, "failed: no reason given"),
        ({}, "failed: no reason given"),
    ],
)
def test_the_agents_own_word_counts(word: dict[str, Any], text: str) -> None:
    assert judge({"health": word}).text == text


def test_the_agents_own_word_is_not_believed_against_its_figures() -> None:
    told = {"health": {"state": "degraded", "reasons": ["tired"]}, "programs": DETACHED[1:]}
    assert judge(told).text == "failed: tired"
    assert judge({"health": {"state": "ok"}, "programs": DETACHED}).text == "degraded: not attached: exit"


def test_an_agent_that_stops_is_stopped_whatever_it_said() -> None:
    health = judge({"state": "stopping", "health": {"state": "degraded", "reasons": ["a"]}})
    assert health.text == "stopped: a"


def test_silence_is_a_failure() -> None:
    assert SILENT.text == "failed: the agent does not answer"
