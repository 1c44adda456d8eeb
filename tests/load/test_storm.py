# SPDX-License-Identifier: Apache-2.0
"""A storm of short processes: nothing is lost, nothing is told twice."""

from __future__ import annotations

import signal
from unittest.mock import ANY

import pytest

from tests.load.support import IN_VM, Load, StartAgent, assert_gapless, events, exec_ids, own

pytestmark = [pytest.mark.root, pytest.mark.kernel]

COUNT = 1_000 if IN_VM else 20_000


def test_each_exec_and_exit_of_a_storm_stands_in_the_log_exactly_once(
    start_agent: StartAgent, load: Load
) -> None:
    agent = start_agent()
    load.run(COUNT)
    agent.catch_up()
    assert agent.fresh_status()["lost"] == {}
    records = agent.stop()
    executed = exec_ids(events(records, "process_exec", load.tiny))
    ended = exec_ids(events(records, "process_exit", load.tiny))
    assert len(executed) == COUNT
    assert len(set(executed)) == COUNT
    assert sorted(ended) == sorted(executed)
    assert_gapless(records)
    assert own(records, "stop")[-1]["lost"] == 0


@pytest.mark.spread
def test_a_stop_during_a_storm_ends_in_order_and_drains(start_agent: StartAgent, load: Load) -> None:
    agent = start_agent()
    agent.tell(signal.SIGSTOP)
    load.run(COUNT)
    storm = [load.start(COUNT) for _ in range(2)]
    agent.tell(signal.SIGTERM)
    agent.tell(signal.SIGCONT)
    records = agent.stop()
    for process in storm:
        process.kill()
        process.wait()
    executed = exec_ids(events(records, "process_exec", load.tiny))
    ended = {*exec_ids(events(records, "process_exit", load.tiny))}
    assert len(executed) >= COUNT
    assert len([one for one in executed if one not in ended]) <= 2, "one of each loader may still have run"
    assert_gapless(records)
    assert records[-1]["tracehound"]["stop"] == {"reason": "terminated", "events": ANY, "lost": 0}
