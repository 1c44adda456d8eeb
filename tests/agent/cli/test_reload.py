# SPDX-License-Identifier: Apache-2.0
"""`tracehound reload` against a process that behaves like the agent."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.agent.api.support import Agent
from tests.agent.cli.conftest import Call, LogMaker, WriteState, agent_state
from tests.agent.cli.test_health import DEAD_PID, ago

AGENT = """
import json, os, signal, sys, time
path, outcome = sys.argv[1], json.loads(sys.argv[2])
state = json.loads(sys.argv[3])
state["pid"] = os.getpid()
def write():
    with open(path + ".new", "w") as file:
        json.dump(state, file)
    os.replace(path + ".new", path)
def reload(*_):
    if outcome is None:
        os._exit(0)
    if outcome:
        state["reload"] = outcome | {"at": str(time.time_ns())}
    write()
signal.signal(signal.SIGHUP, reload)
write()
print("ready", flush=True)
while True:
    signal.pause()
"""

StartAgent = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def agent(log: LogMaker, tmp_path: Path) -> Iterator[StartAgent]:
    """Starts something that answers SIGHUP with an outcome; None makes it die, {} stay silent."""
    running: list[subprocess.Popen[str]] = []

    def start(outcome: dict[str, Any] | None, name: str = "tracehound-like.py") -> subprocess.Popen[str]:
        script = tmp_path / name
        script.write_text(AGENT)
        argv = [str(log.directory / "status.json"), json.dumps(outcome), json.dumps(agent_state())]
        process = subprocess.Popen([sys.executable, str(script), *argv], stdout=subprocess.PIPE, text=True)
        running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def test_taken_settings_are_reported(call: Call, log: LogMaker, agent: StartAgent) -> None:
    agent({"ok": True, "problems": ["kernel.ring_bytes needs a restart"]})
    status, out, err = call("reload", "--log-dir", log.directory)
    assert (status, out, err) == (0, "reloaded\n  kernel.ring_bytes needs a restart\n", "")


def test_refused_settings_are_reported_with_all_problems(
    call: Call, log: LogMaker, agent: StartAgent
) -> None:
    agent({"ok": False, "problems": ["f.yaml:1: a: unknown key", "f.yaml:2: b: unknown key"]})
    status, out, err = call("reload", "--log-dir", log.directory)
    assert (status, out) == (2, "")
    assert (
        "tracehound: f.yaml:1: a: unknown key\ntracehound: f.yaml:2: b: unknown key\nhint: the agent keeps"
        in err
    )


def test_a_second_reload_waits_for_its_own_outcome(call: Call, log: LogMaker, agent: StartAgent) -> None:
    agent({"ok": True, "problems": []})
    first = json.loads(call("reload", "--log-dir", log.directory, "-o", "json")[1])
    second = json.loads(call("reload", "--log-dir", log.directory, "-o", "json")[1])
    assert first["ok"] and second["ok"]
    assert first["at"] < second["at"]


def test_an_agent_that_does_not_answer_is_told_apart(call: Call, log: LogMaker, agent: StartAgent) -> None:
    agent({})
    begun = time.monotonic()
    status, _, err = call("reload", "--log-dir", log.directory, "--timeout", "0.2")
    assert (status, time.monotonic() - begun < 5) == (1, True)
    assert "has not reported a reload within 0.2 s" in err


def test_an_agent_that_dies_of_it_is_told_apart(
    call: Call, log: LogMaker, agent: StartAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.cli.health.FRESH_SECONDS", 0.2)
    process = agent(None)
    process_status, _, err = call("reload", "--log-dir", log.directory, "--timeout", "5")
    process.wait()
    assert process_status == 7
    assert "the agent ended during the reload" in err


def test_a_process_that_is_no_agent_is_not_signalled(
    call: Call, log: LogMaker, write_state: WriteState
) -> None:
    with subprocess.Popen(["sleep", "60"]) as sleeper:
        write_state(pid=sleeper.pid)
        status, _, err = call("reload", "--log-dir", log.directory)
        assert (status, sleeper.poll()) == (7, None)
        sleeper.kill()
    assert f"pid {sleeper.pid} is not a tracehound agent" in err


def test_no_agent_or_a_dead_one_is_told(call: Call, log: LogMaker, write_state: WriteState) -> None:
    assert call("reload", "--log-dir", log.directory)[0] == 7
    write_state(pid=DEAD_PID, updated=ago(60))
    assert call("reload", "--log-dir", log.directory)[0] == 7
    write_state(pid=DEAD_PID)
    status, _, err = call("reload", "--log-dir", log.directory)
    assert status == 7
    assert "is not in this /proc" in err


def test_the_control_socket_is_asked(call: Call, answering: Agent) -> None:
    answering.reload = {"ok": True, "problems": ["kernel.ring_bytes needs a restart"]}
    assert call("reload", "--socket", answering.path) == (
        0,
        "reloaded\n  kernel.ring_bytes needs a restart\n",
        "",
    )
    assert answering.asked == ["reload"]


def test_what_is_refused_by_the_socket_is_refused_as_by_signal(call: Call, answering: Agent) -> None:
    answering.reload = {"ok": False, "problems": ["f.yaml:1: a: unknown key", "f.yaml:2: b: unknown key"]}
    status, out, err = call("reload", "--socket", answering.path, "-o", "json")
    assert (status, json.loads(out)) == (2, answering.reload)
    assert "tracehound: f.yaml:2: b: unknown key\nhint: the agent keeps its old settings" in err


def test_a_signal_does_it_where_no_socket_answers(call: Call, log: LogMaker, agent: StartAgent) -> None:
    agent({"ok": True, "problems": []})
    status, out, _ = call("reload", "--socket", "/no/such/socket", "--log-dir", log.directory)
    assert (status, out) == (0, "reloaded\n")
    assert call("reload", "--socket", "/no/such/socket")[0] == 7
    status, _, err = call("reload", "--socket", "/no/such/socket", "--log-dir", "/no/such/directory")
    assert (status, "there is no such socket\ntracehound: no agent writes to" in err) == (7, True)
