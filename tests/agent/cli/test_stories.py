# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import pytest

from tests.agent.cli.conftest import Call, LogMaker
from tests.agent.cli.incidents import STORY, incident

SINCE = ("--since", "2026-01-01T00:00:00Z")


@pytest.fixture
def log(tmp_path: Path) -> LogMaker:
    return incident(tmp_path / "log")


def test_a_story_is_one_line_with_what_was_told_of_it_last(call: Call, log: LogMaker) -> None:
    status, out, _ = call("stories", "--log-dir", log.directory, *SINCE)
    assert status == 0 and out.count("\n") == 1
    assert out.split()[:4] == ["3fa9c1d2", "high", "closed", "2"]
    assert "40 /bin/bash -l  Netcat Reverse Shell, Netcat Started" in out


def test_one_story_has_its_detections_its_tree_and_its_timeline(call: Call, log: LogMaker) -> None:
    _, out, _ = call("stories", "--log-dir", log.directory, "3fa9")
    assert f"story {STORY}\nhigh, 2 detections, T1059.004\n" in out
    assert out.count("‹ bash ‹ sshd ‹ systemd") == 2
    assert "└─ 50 /bin/nc -e /bin/sh  (root, 01-01 00:00:04.000, status 0 after 1.0s)" in out
    assert "50 nc              high: Netcat Reverse Shell" in out


def test_json_has_the_story_its_detections_and_the_events(call: Call, log: LogMaker) -> None:
    told = json.loads(call("stories", "--log-dir", log.directory, "3fa9", "-o", "json")[1])
    assert (told["story"]["state"], len(told["detections"])) == ("closed", 2)
    assert {"process_exec", "process_exit", "detection"} == {event["type"] for event in told["events"]}
    [listed] = json.loads(call("stories", "--log-dir", log.directory, *SINCE, "-o", "json")[1])
    assert listed == told["story"]


def test_only_the_level_that_is_asked_for_and_above(call: Call, log: LogMaker) -> None:
    assert call("stories", "--log-dir", log.directory, *SINCE, "--level", "critical")[:2] == (1, "")
    assert call("stories", "--log-dir", log.directory, *SINCE, "--level", "high")[0] == 0


def test_an_id_that_no_story_has_is_an_error_with_the_way_out(call: Call, log: LogMaker) -> None:
    status, out, err = call("stories", "--log-dir", log.directory, "abc")
    assert (status, out) == (2, "")
    assert "no story abc is in the log" in err and "tracehound stories --since 30d" in err


def test_a_story_whose_processes_are_gone_from_the_log_says_so(call: Call, tmp_path: Path) -> None:
    log = LogMaker(tmp_path / "log")
    log.own("story", {"id": STORY, "level": "low", "count": 1, "root": {"exec_id": "x", "pid": 4}}, 1)
    _, out, _ = call("stories", "--log-dir", log.directory, STORY)
    assert "! no process with exec_id x is in the log" in out


def test_a_story_that_is_louder_than_its_rules_says_why(call: Call, tmp_path: Path) -> None:
    log = LogMaker(tmp_path / "log")
    why = "12 rules of discovery within a minute"
    root = {"exec_id": "x", "pid": 4}
    log.own("story", {"id": STORY, "level": "medium", "count": 8, "root": root, "raised": why}, 1)
    assert f"medium ({why}), 8 detections" in call("stories", "--log-dir", log.directory, STORY)[1]
