# SPDX-License-Identifier: Apache-2.0
"""The agent's own records as lines."""

from __future__ import annotations

from typing import Any

import pytest

from agent.cli.clock import Clock
from agent.cli.color import COLORED, PLAIN
from agent.cli.render_own import KINDS, SHOWN, own_kind, render_own
from tests.agent.cli.conftest import stamp


def line(kind: str, content: Any, color: bool = False) -> str:
    record = {"tracehound": {"sequence": 1, kind: content}, "time": stamp(1)}
    return render_own(record, Clock(), COLORED if color else PLAIN)


def test_a_loss_is_conspicuous() -> None:
    text = line("loss", {"cause": "map_full", "count": 3}, color=True)
    assert f"{COLORED.alarm}!!! LOSS{COLORED.end}" in text


def test_a_notice_of_the_reader_needs_no_time() -> None:
    content = {"cause": "segment_removed", "segment": "b", "from_sequence": 3, "to_sequence": 9}
    text = render_own({"tracehound": {"notice": content}}, Clock(), PLAIN)
    assert text == "!!! NOTICE segment removed before b, records 3 to 9 are missing"


def test_the_end_of_an_alarm_is_no_alarm() -> None:
    assert "!!!" in line("degraded", {"step": 2, "from_step": 1})
    assert "!!!" not in line("degraded", {"step": 1, "from_step": 2})
    assert "!!!" not in line("attachment", {"program": "exec", "attached": True})


def test_a_change_of_a_policy_is_news_and_a_spent_budget_an_alarm() -> None:
    hooks = [{"function": "f", "attach": "fentry"}, {"function": "g", "attach": "fentry"}]
    added = {"name": "p", "action": "added", "by": "/p.yaml", "mode": "enforce", "hooks": hooks}
    assert line("policy", added).endswith("--- policy: p added by /p.yaml: enforce, 2 hooks (fentry)")
    alarm = {"name": "p", "action": "alarm", "by": "kill budget", "error": "it only monitors"}
    assert line("policy", alarm).endswith("!!! POLICY p alarm by kill budget: it only monitors")


def test_a_throttled_cgroup_is_told_by_name() -> None:
    content = {"type": "THROTTLE_STOP", "cgroup": {"id": "7", "name": "/a"}, "suppressed": 3}
    assert "cgroup /a is calm again, 3 events were held back" in line("throttle", content)
    assert "cgroup /a has more events" in line("throttle", {**content, "type": "THROTTLE_START"})


def test_settings_that_were_refused_are_an_alarm() -> None:
    refused = line("reload", {"ok": False, "problems": ["f.yaml:1: a: unknown key", "b"]})
    assert "!!! RELOAD settings refused, the old ones stay: f.yaml:1: a: unknown key; b" in refused
    assert line("reload", {"ok": True, "problems": []}).endswith(
        "--- reload: settings taken, nothing changed"
    )


def test_a_clock_that_was_set_and_a_segment_that_went_are_told() -> None:
    step = line("clock_step", {"nanoseconds": "-7200000000000"})
    assert step.endswith("--- clock step: the wall clock was set back by 2h00m")
    gone = {"removed": "1-1.jsonl", "first_sequence": 1, "last_sequence": 9, "bytes": 5, "reason": "size"}
    assert line("retention", gone).endswith("--- retention: 1-1.jsonl by size, records 1 to 9")


@pytest.mark.parametrize("kind", set(KINDS) - {"fork"})
def test_a_record_without_its_details_is_still_a_line(kind: str) -> None:
    assert line(kind, {}).startswith("01-01 00:00:01.000 ")


def test_a_kind_of_a_later_version_is_shown_as_it_is() -> None:
    assert line("weather", {"sun": 1}).endswith("--- weather: {'sun': 1}")


def test_a_long_record_is_cut_unless_everything_is_wanted() -> None:
    record = {"tracehound": {"sequence": 1, "reload": {"ok": False, "problems": ["x" * 5000]}}}
    assert len(render_own(record, Clock(), PLAIN)) < SHOWN + 30
    assert render_own(record, Clock(), PLAIN).endswith("xx…")
    assert render_own(record, Clock(), PLAIN, whole=True).endswith("x" * 5000)


def test_events_have_no_own_kind() -> None:
    assert own_kind({"process_exec": {}, "tracehound": {"sequence": 1}}) == ""
    assert own_kind({"tracehound": {"sequence": 1, "loss": {}}}) == "loss"
    assert own_kind({}) == ""


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({}, "5 torn bytes)"),
        ({"same_boot": True, "window_seconds": 1.0}, "; nothing that was written is gone"),
        ({"same_boot": False, "window_seconds": 1.0}, "; if power was cut, the last 1.0s may be gone"),
        ({"same_boot": False, "window_seconds": 0}, "; if power was cut, what was being written may be gone"),
        ({"same_boot": False, "window_seconds": -1}, "what the kernel had not written back may be gone"),
    ],
)
def test_an_unclean_end_says_what_may_be_gone(content: dict[str, Any], told: str) -> None:
    own = {"unclean_shutdown": {"last_sequence": 7, "last_time": "", "torn_bytes": 5, **content}}
    line = render_own({"tracehound": {"sequence": 8, **own}}, Clock(), PLAIN)
    assert line.endswith(told)


def test_what_a_required_exporter_missed_is_shown() -> None:
    content = {"removed": "a.jsonl", "reason": "age", "first_sequence": 1, "last_sequence": 9}
    told = line("retention", content | {"unread_by": {"siem": 4}})
    assert told.endswith("records 1 to 9; 4 unread by siem")
