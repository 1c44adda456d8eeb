# SPDX-License-Identifier: Apache-2.0
"""What happens to the whole machine: its clock is set, its pids are used up. In VMs only."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.log.times import parse_time
from tests.load.support import (
    IN_VM,
    Load,
    StartAgent,
    assert_gapless,
    events,
    exec_ids,
    own,
    run_and_wait,
)

pytestmark = [
    pytest.mark.root,
    pytest.mark.kernel,
    pytest.mark.skipif(not IN_VM, reason="changes the whole machine"),
]

COUNT = 1_000
PID_MAX = Path("/proc/sys/kernel/pid_max")
HOUR_NS = 3_600_000_000_000
SLACK_NS = 1_000_000


@pytest.fixture
def few_pids() -> Iterator[None]:
    """About 300 pids for all processes together."""
    before = PID_MAX.read_text()
    PID_MAX.write_text("600")
    yield
    PID_MAX.write_text(before)


@pytest.fixture
def clock() -> Iterator[None]:
    """The clock is right again afterwards."""
    ahead = time.time_ns() - time.monotonic_ns()
    yield
    time.clock_settime_ns(time.CLOCK_REALTIME, time.monotonic_ns() + ahead)


def test_pids_that_are_used_again_join_no_strangers(
    start_agent: StartAgent, load: Load, few_pids: None
) -> None:
    agent = start_agent()
    parents = [load.start(COUNT // 2) for _ in range(2)]
    assert [process.wait(600) for process in parents] == [0, 0]
    agent.catch_up()
    records = agent.stop()
    shells = {
        event["process"]["exec_id"]
        for event in events(records, "process_exec", load.program)
        if event["process"]["pid"] in {process.pid for process in parents}
    }
    executed = events(records, "process_exec", load.tiny)
    assert len({event["process"]["pid"] for event in executed}) < COUNT / 2
    assert len(set(exec_ids(executed))) == len(executed) == COUNT
    assert sorted(exec_ids(events(records, "process_exit", load.tiny))) == sorted(exec_ids(executed))
    assert {event["process"]["parent_exec_id"] for event in executed} == shells
    assert {event["parent"]["exec_id"] for event in executed} == shells
    assert {event["parent"]["binary"] for event in executed} == {load.program}


def test_times_follow_the_clock_when_it_is_set(start_agent: StartAgent, load: Load, clock: None) -> None:
    agent = start_agent()
    moments = []
    for step in (HOUR_NS, -2 * HOUR_NS):
        agent.catch_up()
        time.clock_settime_ns(time.CLOCK_REALTIME, time.time_ns() + step)
        begin = time.time_ns()
        run_and_wait([load.tiny])
        moments.append((begin, time.time_ns()))
    agent.catch_up()
    agent.fresh_status()
    records = agent.stop()
    assert_gapless(records)
    steps = [round(int(step["nanoseconds"]) / HOUR_NS) for step in own(records, "clock_step")]
    assert steps == [1, -2]
    times = [
        parse_time(r["time"])
        for r in records
        if r.get("process_exec", {}).get("process", {}).get("binary") == load.tiny
    ]
    for (begin, end), at in zip(moments, times, strict=True):
        assert begin - SLACK_NS <= at <= end + SLACK_NS
