# SPDX-License-Identifier: Apache-2.0
"""A ring that is much too small, and a reader that stands still: what is lost is told exactly.

A second agent with room enough watches the same machine: what its log has more is what was lost.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from dataclasses import dataclass

import pytest

from agent.log.times import parse_time
from tests.load.support import (
    IN_VM,
    TRACEHOUND,
    Agent,
    Load,
    Record,
    StartAgent,
    assert_gapless,
    own,
    run_and_wait,
    wait_until,
)

pytestmark = [pytest.mark.root, pytest.mark.kernel]

COUNT = 400 if IN_VM else 4_000
SLACK_NS = 1_000_000
"""The two agents compare boot clock and wall clock each for itself."""
HOOKS = {"process_exec": "exec", "process_exit": "exit"}

Events = dict[tuple[str, str], Record]
"""Events by type and exec_id, in the order of the log."""


def between(records: list[Record], first: int, last: int) -> Events:
    """The events from the exec of one pid to the exit of another."""
    found: Events = {}
    begun = False
    for at, record in enumerate(records):
        for kind in HOOKS.keys() & record.keys():
            process = record[kind]["process"]
            begun = begun or (kind == "process_exec" and process["pid"] == first and not is_old(process))
            if begun:
                found[kind, process["exec_id"]] = {**record, "at": at}
            if kind == "process_exit" and process["pid"] == last:
                return found
    raise AssertionError("the last event is not in the log")


def is_old(process: Record) -> bool:
    return "procFS" in process["flags"]


def complete_hooks(agent: Agent) -> set[str]:
    """Both hooks, in a moment when nothing of what the kernel counted as sent is on its way."""
    execs = [record["process_exec"] for record in agent.records() if "process_exec" in record]
    status, adopted = agent.status(), sum(is_old(event["process"]) for event in execs)
    made = {**status["events"], "process_exec": status["events"]["process_exec"] - adopted}
    complete = {hook for kind, hook in HOOKS.items() if made[kind] == status["sent"][hook]}
    return complete if len(complete) == len(HOOKS) else set()


@dataclass
class Gap:
    """Two logs of one time, and what only the complete one has."""

    sent: set[str]
    """Hooks of which each record that the kernel counted as sent became a line."""
    status: Record
    shown: Record
    records: list[Record]
    found: Events
    whole: Events
    me: str
    """exec_id of the process that runs the tests."""

    @property
    def missing(self) -> Events:
        return {key: record for key, record in self.whole.items() if key not in self.found}

    @property
    def losses(self) -> list[Record]:
        """The `loss` records of that time, with their place in the log; chunks are other tests' affair."""
        begin = next(iter(self.found.values()))["at"]
        return [
            {**record["tracehound"]["loss"], "at": at}
            for at, record in enumerate(self.records)
            if at > begin and record["tracehound"].get("loss", {}).get("cause") in ("ring_full", "shed")
        ]


@pytest.fixture(scope="module")
def gap(load: Load, start_agent_once: StartAgent) -> Gap:
    """A storm while the agent with the tiny ring is stopped."""
    whole = start_agent_once("whole")
    tiny = start_agent_once("tiny", kernel={"ring_bytes": 65536})
    first = run_and_wait([load.tiny])
    tiny.catch_up()
    tiny.fresh_status()  # what was lost while it started is told before
    tiny.tell(signal.SIGSTOP)
    load.run(COUNT)
    tiny.tell(signal.SIGCONT)
    tiny.catch_up()
    sent = wait_until(lambda: complete_hooks(tiny), "all that was sent was read")
    status = tiny.fresh_status()
    subprocess.run(["sh", "-c", f"sh -c '{load.tiny}; :'; :"], check=True)
    last = run_and_wait([load.tiny])
    tiny.catch_up()
    top = [str(TRACEHOUND), "top", "-o", "json", "--log-dir", str(tiny.log)]
    shown: Record = json.loads(subprocess.run(top, capture_output=True, check=True).stdout)
    records, complete = tiny.stop(), whole.stop()
    execs = [record["process_exec"]["process"] for record in complete if "process_exec" in record]
    (me,) = {process["exec_id"] for process in execs if process["pid"] == os.getpid() and is_old(process)}
    found, there = between(records, first, last), between(complete, first, last)
    return Gap(sent, status, shown, records, found, there, me)


def test_log_and_losses_together_are_what_happened(gap: Gap) -> None:
    for kind, hook in HOOKS.items():
        lost = sum(loss["count"] for loss in gap.losses if loss["hook"] == hook)
        assert lost == sum(key[0] == kind for key in gap.missing)
        assert lost > 0
    assert not gap.found.keys() - gap.whole.keys()
    assert_gapless(gap.records)


def test_what_the_kernel_counted_as_sent_is_what_the_log_has(gap: Gap) -> None:
    assert gap.sent == {"exec", "exit"}


def test_the_loss_record_stands_where_the_gap_is_and_names_it(gap: Gap) -> None:
    times = sorted(parse_time(record["time"]) for record in gap.missing.values())
    for loss in gap.losses:
        assert loss["lane"] == ("bulk" if loss["hook"] == "chunk" else "lifecycle")
        begin, end = parse_time(loss["from"]), parse_time(loss["to"])
        before = [parse_time(r["time"]) for r in gap.found.values() if r["at"] < loss["at"]]
        after = [parse_time(r["time"]) for r in gap.found.values() if r["at"] > loss["at"]]
        assert max(before) <= end + SLACK_NS
        assert min(after) >= min(times) - SLACK_NS
        assert begin - SLACK_NS <= times[-1]
        assert times[0] <= end + SLACK_NS


def test_status_and_top_show_the_loss(gap: Gap) -> None:
    counted = sum(loss["count"] for loss in own(gap.records, "loss"))
    assert sum(gap.status["lost"].values()) == counted
    assert gap.status["health"]["state"] == "degraded"
    assert gap.status["ring"]["peak"] > 0.9
    assert sum(loss["count"] for loss in gap.shown["losses"]) == counted


def test_what_the_log_has_has_the_right_ancestors(gap: Gap) -> None:
    """Of the load: what else runs here may have begun between the starts of the two agents."""
    mine = {key for key, record in gap.whole.items() if gap.me in record["tracehound"].get("ancestry", [])}
    assert len(mine & gap.found.keys()) > 20
    for key in mine & gap.found.keys():
        record, complete = gap.found[key], gap.whole[key]
        told, true = record[key[0]]["process"], complete[key[0]]["process"]
        assert told["parent_exec_id"] == true["parent_exec_id"]
        if "parent" in record[key[0]]:  # left out of exits while their detail is shed
            assert record["tracehound"]["ancestry"] == complete["tracehound"]["ancestry"]
