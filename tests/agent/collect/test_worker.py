# SPDX-License-Identifier: Apache-2.0
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.collect import worker as module
from agent.collect.journal import Entry
from agent.collect.place import load
from agent.collect.worker import Worker
from agent.detect.link import AgentGone


class Agent:
    """The agent's end of the link, and a worker that is turned by hand."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.path = directory, directory / "auth.log"
        self.path.write_text("before\n")
        self.begin()

    def begin(self, **more: Any) -> None:
        self.sock, theirs = socket.socketpair()
        self.sock.setblocking(False)
        self.worker = Worker(theirs, self.directory)
        settings = {"files": [str(self.path)], "journal": False, "units": [], "lines_per_second": 1000}
        self.say({"configure": {**settings, "line_bytes": 1000, **more}})

    def say(self, said: dict[str, Any]) -> None:
        self.sock.send(json.dumps(said).encode() + b"\n")

    def turn(self, times: int = 1) -> list[dict[str, Any]]:
        """What the worker says; marks are answered."""
        found = []
        for _ in range(times):
            self.worker._turn()
            try:
                said = self.sock.recv(1 << 20).splitlines()
            except BlockingIOError:
                continue
            found += [json.loads(line) for line in said]
            for line in said:
                if b"mark" in line:
                    self.sock.send(line + b"\n")
        return found

    def lines(self, times: int = 1) -> list[dict[str, Any]]:
        return [line for one in self.turn(times) for line in one.get("lines", ())]

    def write(self, text: str) -> None:
        with self.path.open("a") as file:
            file.write(text)

    def close(self) -> None:
        for one in (self.sock, self.worker._link.sock):
            one.close()
        for file, _ in self.worker._files:
            file.close()


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    monkeypatch.setattr(module, "LOOK_S", 0.001)
    monkeypatch.setattr(module, "SAVE_S", 0.0)
    found = Agent(tmp_path)
    yield found
    found.close()


def test_a_line_is_handed_over_with_its_services_and_writer(agent: Agent) -> None:
    assert agent.lines() == []
    agent.write("Jan  2 03:04:05 h sshd[7]: x\nno head\n")
    source = {"source": str(agent.path)}
    assert agent.lines() == [
        source
        | {"services": ["auth", "sshd"], "line": "Jan  2 03:04:05 h sshd[7]: x", "program": "sshd", "pid": 7},
        source | {"services": ["auth"], "line": "no head"},
    ]


def test_the_place_is_saved_when_the_agent_has_the_lines(agent: Agent) -> None:
    agent.turn(2)
    begun = load(agent.directory).files[str(agent.path)].offset
    agent.write("one\n")
    agent.worker._turn()  # told and not answered for
    assert load(agent.directory).files[str(agent.path)].offset == begun == 7
    agent.turn(2)
    agent.turn(2)
    assert load(agent.directory).files[str(agent.path)].offset == 11


def test_a_worker_goes_on_where_the_last_one_was(agent: Agent) -> None:
    agent.turn(3)
    agent.close()
    agent.write("meanwhile\n")
    agent.begin()
    assert [line["line"] for line in agent.lines()] == ["meanwhile"]


def test_a_damaged_place_is_told(agent: Agent) -> None:
    (agent.directory / "place.json").write_text("{")
    told = [one["state"] for one in agent.turn() if "state" in one]
    assert "saved places cannot be read" in told[-1]["last_error"]


def test_what_the_agent_wrote_is_left_out_and_counted(agent: Agent) -> None:
    agent.turn()
    agent.write("Jan  2 03:04:05 h tracehound[7]: x\nother\n")
    assert [line["line"] for line in agent.lines()] == ["other"]
    assert agent.worker._state()["own"] == 1 and agent.worker._state()["lines"] == 1


def test_lines_beyond_the_rate_wait_in_the_file(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    agent.close()
    agent.begin(lines_per_second=1)
    agent.turn()
    agent.write("x\n" * 5)
    now = module.time.monotonic()
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    assert len(agent.lines()) == 5
    agent.write("late\n")
    assert agent.lines(3) == []
    monkeypatch.setattr(module.time, "monotonic", lambda: now + 6)
    assert [line["line"] for line in agent.lines()] == ["late"]


def test_a_loss_is_told_with_its_source(agent: Agent) -> None:
    agent.turn()
    agent.worker._files[0][0].lost += [("line_rate", 2), ("line_rate", 3), ("line_gap", 1)]
    told = [one["lost"] for one in agent.turn() if "lost" in one]
    source = str(agent.path)
    assert told == [
        {"source": source, "cause": "line_rate", "count": 5},
        {"source": source, "cause": "line_gap", "count": 1},
    ]


def test_a_file_that_is_missing_is_a_problem_and_no_end(agent: Agent) -> None:
    agent.path.unlink()
    told = [one["state"] for one in agent.turn() if "state" in one]
    assert told[-1]["problems"] == [f"{agent.path}: No such file or directory"]


def test_an_entry_of_the_journal_is_a_line_with_its_unit(agent: Agent) -> None:
    agent.turn()
    entry = Entry("x" * 2000, "sudo", 7, "session-1.scope", 10, "syslog", "", 5)
    told = agent.worker._of_entry(entry)
    assert told["services"] == ["sudo", "auth", "syslog"] and told["line"].startswith("sudo[7]: xxx")
    assert len(told["line"]) == 1000 and told["cut"] and (told["unit"], told["logged_ns"]) == (entry.unit, 5)
    kernel = agent.worker._of_entry(
        entry._replace(transport="kernel", program="", pid=0, message="x", unit="")
    )
    assert kernel == {
        "source": "journal", "services": ["kernel", "syslog", "auth"], "line": "kernel: x",
        "program": "kernel", "logged_ns": 5,
    }  # fmt: skip


def test_it_ends_with_what_there_is(agent: Agent) -> None:
    agent.turn()
    agent.write("last\n")
    agent.say({"stop": 1})
    assert [line["line"] for line in agent.lines()] == ["last"] and agent.worker._is_over


def test_it_ends_when_the_agent_is_gone(agent: Agent) -> None:
    agent.turn()
    agent.sock.close()
    with pytest.raises(AgentGone):
        agent.turn(2)
