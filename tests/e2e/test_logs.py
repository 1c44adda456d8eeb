# SPDX-License-Identifier: Apache-2.0
"""Lines of other programs' logs: from the file to the detection, and the same by a hunt over the past."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.support import Agent, Event

pytestmark = pytest.mark.root

RULES = Path(__file__).with_name("rules")
LOG = Path(tempfile.gettempdir()) / f"e2e-logs-{os.getpid()}" / "auth.log"
AGENT_SETTINGS = (f"detect.rules={RULES}", "detect.dirs=", "log.fsync_seconds=0", f"collect.files={LOG}")
WORD = "a word of the tests"


@pytest.fixture(scope="module", autouse=True)
def log() -> Iterator[Path]:
    """The directory of a log that is not there yet."""
    with tempfile.TemporaryDirectory(prefix=LOG.parent.name) as name:
        LOG.parent.symlink_to(name)
        yield LOG
        LOG.parent.unlink()


def write(agent: Agent, text: str) -> None:
    if not any(LOG.parent.iterdir()):
        agent.wait(lambda: agent.status().get("logs", {}).get("problems"), "the missing log is not told")
    with LOG.open("a") as file:
        file.write(text)


def detections(agent: Agent, about: str) -> list[dict[str, Any]]:
    """Those whose line holds a text, once there are some."""

    def found() -> list[Event]:
        return [one for one in agent.own_records("detection") if f"{about} {WORD}" in json.dumps(one)]

    agent.wait(found, f"nothing was found of {about!r}, {agent.status().get('logs')}")
    return [one["tracehound"]["detection"] for one in found()]


def test_a_line_that_is_appended_is_detected(agent: Agent) -> None:
    write(agent, f"Jan  2 03:04:05 h sshd[4194303]: first {WORD} password=hunter2hunter2\n")
    [found] = detections(agent, "first")
    line = found["event"]["tracehound"]["log_line"]
    assert (line["services"], line["program"]) == (["auth", "sshd"], "sshd") and "hunter2" not in line["line"]
    assert found["rule"]["title"] == "A word in a log" and found["ancestors"] == [] and "process" not in found
    agent.wait(lambda: not agent.status()["logs"]["problems"], "health does not know the log")


def test_a_detection_has_the_process_that_wrote_the_line(agent: Agent) -> None:
    script = f'echo "Jan  2 03:04:05 h bash[$$]: second {WORD}" >> {LOG}'
    with subprocess.Popen(["bash", "-c", script]) as child:
        pass
    [found] = detections(agent, "second")
    assert found["process"]["pid"] == child.pid and found["process"]["binary"].endswith("/bash")
    assert found["ancestors"][0]["pid"] == os.getpid() and found["ancestors"][-1]["pid"] == 1


def test_a_log_is_followed_through_rotation(agent: Agent) -> None:
    write(agent, f"third {WORD}\n")
    LOG.rename(LOG.with_suffix(".log.1"))
    write(agent, f"fourth {WORD}\n")
    assert len(detections(agent, "third")) == len(detections(agent, "fourth")) == 1
    LOG.write_text("")
    write(agent, f"fifth {WORD}\n")
    assert len(detections(agent, "fifth")) == 1


def test_a_hunt_over_the_past_finds_the_same(agent: Agent) -> None:
    write(agent, f"last {WORD}\n")
    detections(agent, "last")
    live = [one["tracehound"]["detection"] for one in agent.own_records("detection")]
    program = Path(sys.executable).with_name("tracehound")
    command = [program, "rules", "hunt", RULES / "line.yml", "--log-dir", agent.log_dir, "-o", "json"]
    told = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    seen = [
        {key: one.get(key) for key in ("id", "process", "ancestors", "event")} for one in told["detections"]
    ]
    assert len(seen) >= 1
    assert seen == [{key: one.get(key) for key in seen[0]} for one in live]
