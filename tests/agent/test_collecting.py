# SPDX-License-Identifier: Apache-2.0
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.collecting import Around, Collecting
from agent.enrich.process import Process, image_key
from agent.enrich.recent import Recent
from agent.log.reader import LogReader
from agent.log.records import SegmentFacts
from agent.log.writer import LogWriter
from agent.settings import CollectSettings, LogSettings

FACTS = SegmentFacts("n1", "boot-a", "", "6.1", "0.1.0")


class Running:
    """A log that is written to, a log file, and the agent's side with its child, turned by hand."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.path = directory, directory / "auth.log"
        self.path.write_text("before\n")
        self.notices: list[str] = []
        self.drained = 0
        self.log = LogWriter(LogSettings(dir=str(directory / "log"), fsync_seconds=0), FACTS)
        self.log.open()
        self.living = Recent()
        self.settings = CollectSettings(files=(str(self.path),), state_dir=str(directory / "state"))
        self.begin()

    def begin(self) -> None:
        around = Around(self.log, "n1", self.living, self.redact, self.drain, lambda _process: '"p0"')
        self.collecting = Collecting(self.settings, around, self.notices.append)
        self.until(lambda: self.state.get("lines") is not None)

    @property
    def state(self) -> dict[str, Any]:
        return self.collecting.state()

    def redact(self, text: str) -> str:
        return text.replace("secret", "***")

    def drain(self) -> None:
        self.drained += 1

    def until(self, done: Callable[[], object]) -> None:
        deadline = time.monotonic() + 30
        while not done():
            assert time.monotonic() < deadline, (self.state, self.notices)
            self.collecting.tick(time.monotonic())
            self.collecting.handle()
            time.sleep(0.01)

    def write(self, text: str) -> None:
        with self.path.open("a") as file:
            file.write(text)

    def found(self, kind: str = "log_line") -> list[dict[str, Any]]:
        reader = LogReader(str(self.directory / "log"))
        return [entry.record["tracehound"][kind] for entry in reader.read(types={kind})]

    def lines(self) -> list[str]:
        return [one["line"] for one in self.found()]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    found = Running(tmp_path)
    yield found
    found.collecting.close()
    found.log.close("test")


def test_a_line_becomes_a_record_without_secrets(running: Running) -> None:
    running.write("Jan  2 03:04:05 h su[7]: the secret\n")
    running.until(running.lines)
    assert running.found() == [
        {
            "source": str(running.path), "services": ["auth", "su"], "program": "su", "pid": 7,
            "line": "Jan  2 03:04:05 h su[7]: the ***",
        }
    ]  # fmt: skip
    assert running.drained and running.state["appended"] == 1 and not list(running.collecting.problems())


def test_a_line_names_the_process_that_wrote_it(running: Running) -> None:
    process = Process(7, 1, "p1", Process(1, 1, "p0", None))
    process.binary = "/usr/bin/su"
    running.living[image_key(7, 1)] = process
    del running.living[image_key(7, 1)]
    running.write("Jan  2 03:04:05 h su[7]: x\nJan  2 03:04:05 h sshd[7]: y\n")
    running.until(running.lines)
    one, other = running.found()
    assert (one["exec_id"], one["parent_exec_id"], one["ancestry"]) == ("p1", "p0", ["p0"])
    assert "exec_id" not in other


def test_a_child_that_is_killed_goes_on_where_it_was(running: Running) -> None:
    running.write("one\n")
    running.until((running.directory / "state" / "place.json").exists)
    running.until(running.lines)
    pid = running.state["pid"]
    os.kill(pid, signal.SIGKILL)
    running.until(lambda: running.state["pid"] not in (0, pid))
    assert running.notices == ["logs: the process that follows them was killed by signal 9"]
    running.write("two\n")
    running.until(lambda: "two" in running.lines())


def test_what_stands_in_a_log_at_the_end_is_taken(running: Running) -> None:
    running.write("last\n")
    running.collecting.close(20)
    assert running.lines() == ["last"] and not running.state["running"]
    running.write("meanwhile\n")
    running.begin()
    running.until(lambda: running.lines() == ["last", "meanwhile"])


def test_nothing_is_taken_while_the_disk_refuses(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    running.until((running.directory / "state" / "place.json").exists)
    with monkeypatch.context() as patch:
        patch.setattr(LogWriter, "is_writing", False)
        running.write("waits\n")
        for _ in range(80):
            running.collecting.tick(time.monotonic())
            running.collecting.handle()
            time.sleep(0.01)
        assert running.lines() == []
    running.until(running.lines)
    assert running.lines() == ["waits"]


def test_what_is_missing_stands_in_the_log(running: Running) -> None:
    running.collecting._lose({"source": "/x", "cause": "line_rate", "count": 5})
    [loss] = running.found("loss")
    assert (loss["cause"], loss["lane"], loss["hook"], loss["count"]) == ("line_rate", "agent", "/x", 5)
    running.collecting._lose({"source": "/x", "cause": "line_gap", "count": 2})
    assert running.state["missing"] == 7
    assert list(running.collecting.problems())[-1].startswith("logs: 7 lines are missing")


def test_what_was_missing_long_ago_is_no_matter_of_health(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    running.collecting._lose({"source": "/x", "cause": "line_rate", "count": 5})
    monkeypatch.setattr("agent.collecting.RECENT_S", 0.0)
    assert not list(running.collecting.problems())


def test_a_file_that_cannot_be_read_is_a_matter_of_health(running: Running) -> None:
    running.path.unlink()
    running.path.mkdir()
    running.until(lambda: running.state.get("problems"))
    assert list(running.collecting.problems()) == [f"logs: {running.path}: is no regular file"]


@pytest.mark.parametrize("said", [b"{", b"7", b'{"lines":[{}]}', b'{"lines":[{"line":"x","services":7}]}'])
def test_a_child_that_says_something_else_is_ended(running: Running, said: bytes) -> None:
    child = running.collecting._child
    assert child is not None
    running.collecting._take(child, said)
    assert "said what is no line" in running.notices[0]
    running.until(lambda: running.collecting._child not in (child, None))
