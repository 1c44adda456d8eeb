# SPDX-License-Identifier: Apache-2.0
"""More than an agent can take: what is dropped, in which order, and that it is said."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest

from agent.overload import STEP_NAMES
from tests.load.support import (
    IN_VM,
    PATIENCE_S,
    Agent,
    Cgroup,
    Load,
    Record,
    StartAgent,
    assert_gapless,
    events,
    own,
    run_and_wait,
    wait_until,
)

pytestmark = pytest.mark.root

CPU_PERCENT, RING_BYTES = (20, 1 << 19) if IN_VM else (5, 1 << 22)
"""So little that a flood is too much, and room for what comes in until the agent runs again."""
LONG = "x" * 100_000
"""An argument that is sent in thirteen chunks of 8 KiB."""


def count(losses: list[Record]) -> Counter[tuple[str, str]]:
    """How much was lost, by cause and hook."""
    found: Counter[tuple[str, str]] = Counter()
    for loss in losses:
        found[loss["cause"], loss["hook"]] += loss["count"]
    return found


def test_bulk_is_refused_before_the_life_cycle(start_agent: StartAgent, load: Load) -> None:
    """256 KiB hold two such argument lists and then still three quarters of the life cycle's records."""
    agent = start_agent(kernel={"ring_bytes": 1 << 18})
    agent.catch_up()
    agent.tell(signal.SIGSTOP)
    for _ in range(40):
        run_and_wait([load.tiny, LONG])
    agent.tell(signal.SIGCONT)
    agent.catch_up()
    agent.fresh_status()
    records = agent.stop()
    losses = own(records, "loss")
    counted = count(losses)
    executed = events(records, "process_exec", load.tiny)
    assert len(executed) == len(events(records, "process_exit", load.tiny)) == 40
    assert {hook for cause, hook in counted if cause in ("ring_full", "shed")} == {"chunk"}
    assert {loss["lane"] for loss in losses if loss["hook"] == "chunk"} == {"bulk"}
    cut = [record for record in records if "arguments" in record["tracehound"].get("truncated", ())]
    cut = [record for record in cut if record["process_exec"]["process"]["binary"] == load.tiny]
    assert all("truncArgs" in record["process_exec"]["process"]["flags"] for record in cut)
    assert 30 < len(cut) <= counted["chunk_missing", "exec"] < 40 + 10
    whole = [record for record in records if record["tracehound"].get("arguments") == [load.tiny, LONG]]
    assert len(whole) == 40 - len(cut)


def test_a_starved_agent_sheds_in_order_and_recovers(
    start_agent: StartAgent, load: Load, cgroup: Callable[[str], Cgroup]
) -> None:
    cpu = cgroup("cpu")
    agent = start_agent(
        kernel={"ring_bytes": RING_BYTES}, overload={"recover_seconds": 0.2}, prefix=cpu.enter
    )
    agent.catch_up()
    flood = [load.start(10**6) for _ in range(2)]
    try:
        starve(agent, cpu)
    finally:
        for process in flood:
            process.kill()
            process.wait()
    cpu.limit_cpu(CPU_PERCENT)
    wait_until(lambda: agent.fresh_status()["shed_step"] == 0, "all steps are taken back")
    cpu.limit_cpu(100)
    agent.catch_up()
    records = agent.stop()
    assert_gapless(records)
    steps = [(change["from_step"], change["step"]) for change in own(records, "degraded")]
    assert {(old, new) for old, new in steps} == {*neighbours(), *((b, a) for a, b in neighbours())}
    assert [old for old, _ in steps[1:]] == [new for _, new in steps[:-1]], "each step begins at the last"
    counted = count(own(records, "loss"))
    assert counted["shed", "exit"] > 0
    assert_no_exec_before_exits(records)


def starve(agent: Agent, cpu: Cgroup) -> None:
    """Until it gives up all that it can; how little is too little depends on what else the machine does."""
    for percent in (CPU_PERCENT, CPU_PERCENT // 2, CPU_PERCENT // 4, 1):
        cpu.limit_cpu(max(percent, 1))
        end = time.monotonic() + PATIENCE_S / 4
        while time.monotonic() < end:
            if agent.status().get("shed_step") == 3:
                return
            time.sleep(0.05)
    pytest.fail("not all steps are taken")


def neighbours() -> list[tuple[str, str]]:
    return list(pairwise(STEP_NAMES))


def assert_no_exec_before_exits(records: list[Record]) -> None:
    """Where execs were lost, exits had been shed before."""
    steps = [at for at, record in enumerate(records) if "degraded" in record["tracehound"]]
    shed = [at for at in steps if records[at]["tracehound"]["degraded"]["step"] == "exit"]
    losses = [at for at, record in enumerate(records) if "loss" in record["tracehound"]]
    execs = [at for at in losses if records[at]["tracehound"]["loss"]["hook"] == "exec"]
    assert not execs or shed[0] < execs[0]
