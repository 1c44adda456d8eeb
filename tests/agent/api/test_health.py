# SPDX-License-Identifier: Apache-2.0
from typing import Any

import pytest

from agent.api.health import SILENT, State, judge

DETACHED = [{"name": "exec", "attached": True}, {"name": "exit", "attached": False}]


@pytest.mark.parametrize(
    ("status", "state", "text"),
    [
        ({}, State.RUNNING, "running"),
        ({"state": "running", "lost_recent": {"ring_full": 0}, "ring_fill": 0.1}, State.RUNNING, "running"),
        ({"state": "stopping"}, State.STOPPED, "stopped: the agent is stopping"),
        ({"programs": DETACHED}, State.DEGRADED, "degraded: not attached: exit"),
        ({"programs": DETACHED[1:]}, State.ERROR, "error: no program is attached"),
        (
            {"lost_recent": {"ring_full": 2, "map_full": 1}},
            State.DEGRADED,
            "degraded: events lost in the last minute: 1 by map_full, 2 by ring_full",
        ),
        ({"shed": {"step": "bulk"}}, State.DEGRADED, "degraded: overload: shedding step bulk"),
        ({"ring_fill": 0.8}, State.DEGRADED, "degraded: the ring buffer is 80% full"),
        ({"log": {"error": "disk full"}}, State.ERROR, "error: the log cannot be written: disk full"),
        ({"log": {"queued_bytes": 5}}, State.DEGRADED, "degraded: 5 bytes wait for the disk"),
        ({"problems": [{"reason": "odd"}]}, State.DEGRADED, "degraded: odd"),
        ({"problems": [{"level": "error", "reason": "bad"}]}, State.ERROR, "error: bad"),
    ],
)
def test_each_finding_leads_to_its_verdict(status: dict[str, Any], state: State, text: str) -> None:
    health = judge(status)
    assert (health.state, health.text) == (state, text)


def test_the_worst_finding_decides_and_all_are_named() -> None:
    health = judge({"programs": DETACHED, "log": {"error": "gone"}, "ring_fill": 0.9})
    assert health.state is State.ERROR
    assert len(health.reasons) == 3


def test_silence_is_an_error() -> None:
    assert SILENT.text == "error: the agent does not answer"
