# SPDX-License-Identifier: Apache-2.0
"""Which records alarm, and what is said then."""

from __future__ import annotations

from typing import Any

import pytest

from exporters.alerts import finding, is_enforced, level_of
from tests.exporters.formats.records import PARENT, found
from tests.exporters.receivers.documents import INIT, document, execution, own, refusal


@pytest.mark.parametrize(
    ("event", "tracehound", "enforced"),
    [
        ({"action": "KPROBE_ACTION_SIGKILL"}, {}, True),
        ({"action": "KPROBE_ACTION_POST"}, {}, False),
        ({"action": "KPROBE_ACTION_SIGKILL"}, {"policy": {"would": ["Signal SIGKILL"]}}, False),
        ({"action": "KPROBE_ACTION_POST"}, {"policy": {"did": ["Override EPERM"]}}, True),
    ],
)
def test_what_was_done_counts_and_not_what_was_asked_for(
    event: dict[str, Any], tracehound: dict[str, Any], enforced: bool
) -> None:
    assert is_enforced(event, tracehound) == enforced


@pytest.mark.parametrize("record", [execution(1), own("loss", 1, {"count": 5}), own("heartbeat", 1, {})])
def test_events_and_own_records_alarm_nobody(record: dict[str, Any]) -> None:
    assert finding(document(record)) is None


def test_root_is_the_far_end_of_the_ancestry() -> None:
    found = finding(document(refusal(1)))
    assert found is not None
    assert found.key == f"no-shadow\n{INIT}"


@pytest.mark.parametrize(
    ("level", "told"), [("low", "low"), ("enormous", "medium"), (None, "medium"), ([], "medium")]
)
def test_an_unknown_level_is_medium(level: object, told: str) -> None:
    assert level_of(document(own("detection", 1, {"rule": "r", "level": level}))) == told


@pytest.mark.parametrize(
    "content", [{"rule": 5, "story": [], "process": "x"}, {"rule": {}, "process": {"pod": 1}}]
)
def test_hostile_contents_make_no_exception(content: dict[str, Any]) -> None:
    found = finding(document(own("detection", 1, content)))
    assert found is not None
    assert (found.rule, found.labels["alertname"]) == ("detection", "detection")


def test_labels_name_pod_and_namespace() -> None:
    pod = {"namespace": "shop", "name": "cart-1", "container": {"id": "containerd://ab"}}
    found = finding(document(own("detection", 1, {"rule": "r", "process": {"pod": pod, "binary": "/bin/x"}})))
    assert found is not None
    assert (found.labels["namespace"], found.labels["pod"]) == ("shop", "cart-1")
    assert found.annotations["container"] == "containerd://ab"


def test_the_level_is_found_where_only_the_line_is_at_hand() -> None:
    made = document(own("detection", 1, {"rule": "r", "level": "critical"}))
    assert level_of(made._replace(record={})) == "critical"
    assert level_of(made._replace(record={}, body=b"CEF:0|")) == ""


def test_what_the_agent_writes_is_an_alert_of_its_story() -> None:
    record = found()
    alert = finding(document(record))
    assert alert is not None
    assert (alert.key[:4], alert.rule, alert.labels["severity"]) == ("3fa9", "Reverse shell", "critical")
    assert (alert.annotations["parent"], alert.annotations["process"]) == (
        "/bin/bash",
        "/bin/cat /etc/shadow",
    )
    assert "root" not in alert.labels


def test_without_a_story_the_root_is_the_last_ancestor() -> None:
    alert = finding(document(found(story=None)))
    assert alert is not None and alert.labels["root"] == PARENT["parent_exec_id"]
