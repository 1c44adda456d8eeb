# SPDX-License-Identifier: Apache-2.0
"""Rules over what a real kernel tells: from the exec to the line in the log."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.support import Agent, Event

pytestmark = [pytest.mark.kernel, pytest.mark.root]

AGENT_SETTINGS = (f"detect.rules={Path(__file__).with_name('rules')}", "detect.dirs=", "log.fsync_seconds=0")


@pytest.fixture
def target(bench: Path, tiny: Path) -> Path:
    return Path(shutil.copy(tiny, bench / "detection-target"))


def run(target: Path) -> int:
    """Starts it and waits for its end; its pid."""
    with subprocess.Popen([target]) as process:
        return process.pid


def detections(agent: Agent, pid: int) -> list[Event]:
    """Detections of a process, once there are some."""

    def found() -> list[Event]:
        return [one for one in agent.own_records("detection") if content(one)["process"]["pid"] == pid]

    agent.wait(found, f"nothing was found of {pid}, {agent.status().get('detections')}")
    return found()


def content(record: Event) -> dict[str, Any]:
    found: dict[str, Any] = record["tracehound"]["detection"]
    return found


def test_a_detection_has_its_event_its_rule_and_the_whole_ancestry(agent: Agent, target: Path) -> None:
    pid = run(target)
    [record] = detections(agent, pid)
    found, life = content(record), agent.executed(pid)
    assert found["rule"]["title"] == "The target was started" and found["level"] == "high"
    assert found["sequence"] == str(life.own["sequence"]) and record["time"] == life.execs[0]["time"]
    assert found["ancestors"][0]["pid"] == os.getpid() and found["ancestors"][-1]["pid"] == 1
    assert [one["exec_id"] for one in found["ancestors"]] == life.own["ancestry"]


def test_a_worker_that_is_killed_goes_on_where_it_was(agent: Agent, target: Path) -> None:
    detections(agent, run(target))
    before = agent.status()["detections"]["pid"]
    os.kill(before, signal.SIGKILL)
    pids = [run(target) for _ in range(3)]
    assert [len(detections(agent, pid)) for pid in pids] == [1, 1, 1]
    agent.wait(lambda: agent.status()["detections"]["pid"] not in (0, before), "no other worker")


def test_they_are_one_story(agent: Agent, target: Path) -> None:
    detections(agent, run(target))
    detections(agent, run(target))
    stories = {content(one)["story"] for one in agent.own_records("detection")}
    assert len(stories) == 1
    assert agent.own_records("story")[0]["tracehound"]["story"]["state"] == "open"
