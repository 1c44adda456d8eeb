# SPDX-License-Identifier: Apache-2.0
from typing import Any

import pytest

from agent.metrics.state import families
from tests.agent.metrics.support import STATE, values


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("build_info", {("1.2.3", "6.12", "n1"): 1}),
        ("start_time_seconds", {(): 1767225600}),
        ("health", {"ok": 1, "degraded": 0, "failed": 0, "stopped": 0}),
        ("events_written", {"process_exec": 5}),
        ("kernel_records", {"exec": 6}),
        ("processes", {(): 9}),
        ("lost", {("ring_full", "bulk", "policy"): 3}),
        ("lost_recent", {"ring_full": 1}),
        ("ring_fill_ratio", {(): 0.25}),
        ("program_attached", {("exec", "tp_btf"): 1}),
        ("log_writable", {(): 1}),
        ("log_bytes", {(): 10}),
        ("compacted_segments", {(): 2}),
        ("detection_up", {(): 1}),
        ("detection_lag_seconds", {(): 0.5}),
        ("containers", {"known": 2}),
        ("identity_fresh", {"kubernetes": 1}),
        ("identity_age_seconds", {"kubernetes": 1.5}),
    ],
)
def test_what_the_agent_tells_is_a_metric(name: str, found: dict[Any, float]) -> None:
    if name == "health":
        state = {key: value for key, value in STATE.items() if key != "lost_recent"}
        assert values(families(state), name) == found
        return
    assert values(families(STATE), name) == found


def test_a_log_that_is_not_written_shows() -> None:
    state = {**STATE, "log": {"state": "full", "queued_bytes": 5}}
    assert values(families(state), "log_writable") == {(): 0}


def test_what_is_not_told_is_not_claimed() -> None:
    told = {family.name for family in families({}) if family.samples}
    assert told == {"build_info", "health"}


def test_rules_that_nobody_wants_have_no_metrics() -> None:
    state = {**STATE, "detections": {"wanted": False, "running": False}}
    assert not [one for one in families(state) if one.name.startswith("detection")]
