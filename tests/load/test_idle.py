# SPDX-License-Identifier: Apache-2.0
"""An agent with little to do: it is woken when something happens, and only then."""

from __future__ import annotations

import re
import statistics
import time
from pathlib import Path

import pytest

from agent.daemon import TICK_S
from agent.log.times import parse_time
from tests.load.support import Agent, Load, StartAgent, run_and_wait, wait_until

pytestmark = [pytest.mark.root, pytest.mark.kernel]

COUNT = 40
WATCHED_S = 4


def sleeps(agent: Agent) -> int:
    """How often it has gone to sleep so far."""
    status = Path(f"/proc/{agent.pid}/status").read_text()
    return int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", status, re.MULTILINE)[1])  # type: ignore[index]


def test_a_lone_event_wakes_the_agent(start_agent: StartAgent, load: Load) -> None:
    """With a timer each event would wait for half a tick in the mean."""
    agent = start_agent()
    agent.catch_up()
    (segment,) = agent.log.glob("[0-9]*.jsonl")
    waited_s = []
    with segment.open("rb") as log:
        for _ in range(COUNT):
            log.seek(0, 2)
            pid, told = run_and_wait([load.tiny]), bytearray()

            def exit_line(pid: int = pid, told: bytearray = told) -> bytes | None:
                told += log.read()
                lines = [
                    line for line in told.splitlines(keepends=True) if line.startswith(b'{"process_exit"')
                ]
                return next(
                    (line for line in lines if b'"pid":%d,' % pid in line and line[-1:] == b"\n"), None
                )

            line = wait_until(exit_line, "the exit stands in the log", pause_s=0.0005)
            waited_s.append(time.time() - happened(line))
    percentiles = statistics.quantiles(waited_s, n=100)
    print("latency in ms:", {p: round(percentiles[p - 1] * 1000, 1) for p in (50, 90, 99)})
    assert statistics.median(waited_s) < TICK_S / 4


def happened(line: bytes) -> float:
    """Seconds since 1970 of an event."""
    stamp = re.search(rb'"node_name":"n","time":"([^"]+)"', line)
    assert stamp
    return parse_time(stamp[1].decode()) / 1e9


def test_an_idle_agent_sleeps(start_agent: StartAgent) -> None:
    agent = start_agent()
    agent.fresh_status()
    before, sequence = sleeps(agent), agent.status()["log"]["last_sequence"]
    time.sleep(WATCHED_S)
    told = agent.fresh_status()["log"]["last_sequence"] - sequence
    ticks = WATCHED_S / TICK_S + 3
    assert sleeps(agent) - before < 10 * ticks + 5 * told
