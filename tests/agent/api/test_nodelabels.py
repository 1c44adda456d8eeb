# SPDX-License-Identifier: Apache-2.0
"""Labels of the node stand beside every event, as the agent tells them."""

from __future__ import annotations

import grpc
import pytest

from tests.agent.api.support import Agent, Log, get_events

LABELS = {"zone": "a", "kubernetes.io/hostname": "n1"}


@pytest.mark.parametrize("expanded", [False, True])
def test_every_event_has_them(log: Log, agent: Agent, channel: grpc.Channel, expanded: bool) -> None:
    agent.told["node"] = {"labels": LABELS}
    events = get_events(channel, expand=expanded)
    log.exec(5)
    log.exec(6)
    for pid in (5, 6):
        event = next(events)
        assert (event.process_exec.process.pid.value, dict(event.node_labels)) == (pid, LABELS)


def test_who_is_told_of_what_it_missed_has_them(log: Log, agent: Agent, channel: grpc.Channel) -> None:
    agent.told["node"] = {"labels": LABELS}
    events = get_events(channel, rate="1")
    log.execs(range(5, 9))
    told = [next(events), next(events)]
    assert told[1].rate_limit_info.number_of_dropped_process_events
    assert [dict(one.node_labels) for one in told] == [LABELS, LABELS]


def test_an_agent_that_knows_none_is_no_hindrance(log: Log, agent: Agent, channel: grpc.Channel) -> None:
    agent.told["node"] = {"error": "unknown request 'node'"}
    events = get_events(channel)
    log.exec(5)
    assert not next(events).node_labels
