# SPDX-License-Identifier: Apache-2.0
"""Counts over a sliding window."""

from __future__ import annotations

from typing import Any

from agent.cli.tally import Tally, keys_of
from tests.agent.cli.conftest import LogMaker, stamp


def test_an_exec_counts_for_its_binary_and_for_the_parent_process(log: LogMaker) -> None:
    shell = log.exec(10, "/bin/sh")
    log.exec(11, "/bin/ls", parent=shell)
    process = {"pid": 11, "binary": "/bin/ls"}
    record = {"process_exec": {"process": process, "parent": shell}}
    assert dict(keys_of(record)) == {
        ("type", "process_exec"): 1,
        ("lane", "lifecycle"): 1,
        ("binary", "/bin/ls"): 1,
        ("process", 10, "/bin/sh"): 1,
    }


def test_an_event_of_a_policy_counts_for_policy_and_process() -> None:
    record = {"process_kprobe": {"process": {"pid": 5, "binary": "/bin/x"}, "policy_name": "p"}}
    assert dict(keys_of(record)) == {
        ("type", "process_kprobe"): 1,
        ("lane", "bulk"): 1,
        ("binary", "/bin/x"): 1,
        ("process", 5, "/bin/x"): 1,
        ("policy", "p"): 1,
    }


def test_a_loss_counts_what_was_lost() -> None:
    loss = {"cause": "ring_full", "lane": "lifecycle", "hook": "exec", "count": 12}
    counts = dict(keys_of({"tracehound": {"sequence": 1, "loss": loss}}))
    assert counts[("loss", "ring_full", "lifecycle", "exec")] == 12
    assert counts[("lane", "agent")] == 1


def test_an_event_without_a_process_counts_by_type() -> None:
    assert dict(keys_of({"process_throttle": {"type": "THROTTLE_START"}}))[("type", "process_throttle")] == 1


def test_what_is_older_than_the_window_is_forgotten() -> None:
    tally = Tally()
    for second in range(10):
        tally.add(
            {"process_exec": {"process": {"pid": 1, "binary": f"/b{second % 2}"}}, "time": stamp(second)}
        )
    tally.forget(stamp(7))
    assert tally.most("binary") == [(("/b1",), 2), (("/b0",), 1)]
    assert tally.total("type") == 3
    tally.forget(stamp(100))
    assert tally.counts == {}


def test_long_windows_are_kept_by_the_minute() -> None:
    tally = Tally(window_seconds=86400)
    for second in range(0, 180, 20):
        tally.add({"tracehound": {"start": {}}, "time": stamp(second)})
    tally.forget(stamp(60))
    assert tally.total("type") == 6


def test_a_clock_that_was_set_back_loses_no_count() -> None:
    tally = Tally()
    for second in (10, 5, 11):
        tally.add({"tracehound": {"start": {}}, "time": stamp(second)})
    assert tally.total("type") == 3


def test_a_malformed_record_counts_for_nothing() -> None:
    tally = Tally()
    malformed: list[dict[str, Any]] = [{}, {"process_exec": {"process": {}}}, {"process_exec": 1}]
    for record in [*malformed, {"tracehound": {"loss": 1}}]:
        tally.add(record)
    assert tally.counts == {}


def test_an_event_of_an_unknown_process_counts_for_its_policy() -> None:
    tally = Tally()
    event = {"process": {"pid": 5}, "policy_name": "files"}
    tally.add({"process_kprobe": event, "time": "2026-01-01T00:00:00Z"})
    assert (tally.most("policy"), tally.most("binary")) == ([(("files",), 1)], [(("?",), 1)])
