# SPDX-License-Identifier: Apache-2.0
"""What goes wrong around a running agent: its disk, its end, its neighbours, its settings."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.load.support import (
    TRACEHOUND,
    Agent,
    Cgroup,
    Load,
    StartAgent,
    assert_gapless,
    events,
    exec_ids,
    own,
    read_log,
    run_and_wait,
    wait_until,
)

pytestmark = pytest.mark.root

COUNT = 2_000


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes."""
    directory = tmp_path / "disk"
    directory.mkdir()
    mount("-t", "tmpfs", "-o", "size=16m", "tmpfs", str(directory))
    yield directory
    subprocess.run(["umount", "-l", str(directory)], check=True)


def fill(disk: Path) -> Path:
    """Leaves no room; returns the file that takes it."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(bytes(1 << 14))
    return filler


def assert_told_exactly_once(agent: Agent, load: Load, count: int) -> None:
    """Each of `count` executions of the tiny program begins and ends in the log."""
    records = agent.stop()
    executed = exec_ids(events(records, "process_exec", load.tiny))
    assert len(executed) == len(set(executed)) == count
    assert sorted(exec_ids(events(records, "process_exit", load.tiny))) == sorted(executed)
    assert_gapless(records)


def test_a_full_disk_is_survived_and_nothing_is_lost(
    start_agent: StartAgent, load: Load, small_disk: Path
) -> None:
    agent = start_agent(log={"dir": str(small_disk / "log")})
    filler = fill(small_disk)
    load.run(200)
    wait_until(lambda: agent.status()["log"]["state"] == "disk_full", "the agent says that the disk is full")
    health = agent.status()["health"]
    assert health["state"] != "ok"
    assert "No space left" in " ".join(health["reasons"])
    filler.unlink()
    agent.catch_up()
    assert agent.fresh_status()["log"]["state"] == "ok"
    assert_told_exactly_once(agent, load, 200)


def test_what_does_not_fit_into_memory_is_told_when_there_is_room(
    start_agent: StartAgent, load: Load, small_disk: Path
) -> None:
    agent = start_agent(
        log={"dir": str(small_disk / "log"), "queue_bytes": 1 << 16, "segment_bytes": 1 << 18}
    )
    filler = fill(small_disk)
    load.run(COUNT)
    wait_until(lambda: agent.status()["log"]["dropped"] > 0, "lines were dropped")
    filler.unlink()
    agent.catch_up()
    dropped = agent.fresh_status()["log"]["dropped"]
    records = agent.stop()
    assert_gapless(records)
    assert sum(loss["count"] for loss in own(records, "loss") if loss["cause"] == "queue_full") == dropped


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Callable[[Path], None]]:
    """Lays a read-only view over a directory. (A disk with files open for writing cannot be switched; what
    is open stays writable below, new files are refused.)"""
    covered: list[Path] = []

    def cover(directory: Path) -> None:
        mount("--bind", str(directory), str(directory))
        covered.append(directory)
        mount("-o", "remount,bind,ro", str(directory))

    yield cover
    for directory in covered:
        subprocess.run(["umount", "-l", str(directory)], check=False, stderr=subprocess.DEVNULL)


def test_a_read_only_disk_is_survived(
    start_agent: StartAgent, load: Load, read_only: Callable[[Path], None]
) -> None:
    agent = start_agent(log={"segment_bytes": 1 << 16})
    agent.catch_up()
    read_only(agent.log)
    load.run(COUNT)
    assert not agent.ended
    subprocess.run(["umount", str(agent.log)], check=True)
    agent.catch_up()
    assert_told_exactly_once(agent, load, COUNT)


def test_a_stop_on_a_read_only_disk_is_in_order(
    start_agent: StartAgent, read_only: Callable[[Path], None]
) -> None:
    agent = start_agent()
    read_only(agent.log)
    agent.stop()
    assert "Traceback" not in agent.errors.read_text()


def test_a_directory_that_vanished_is_made_again(start_agent: StartAgent, load: Load, tmp_path: Path) -> None:
    agent = start_agent()
    load.run(20)
    agent.catch_up()
    agent.log.rename(tmp_path / "away")
    wait_until(agent.log.is_dir, "the directory is there again")
    load.run(20)
    agent.catch_up()
    records = agent.stop()
    before = read_log(tmp_path / "away")
    assert len(events(before, "process_exec", load.tiny)) == 20
    assert len(events(records, "process_exec", load.tiny)) == 20
    (loss,) = own(records, "loss")
    assert (loss["cause"], loss["count"]) == ("log_gap", len(before))
    assert_gapless(before + records)


def test_a_killed_agent_goes_on_where_the_log_ends(start_agent: StartAgent, load: Load) -> None:
    agent = start_agent()
    storm = load.start(COUNT)
    wait_until(lambda: agent.status()["events"].get("process_exit", 0) > 200, "the storm is on")
    agent.kill()
    last = sorted(agent.log.glob("[0-9]*.jsonl"))[-1]
    with last.open("ab") as file:
        file.write(b'{"process_exec":{"process":{"exec_id":"torn')
    agent.start()
    assert storm.wait(60) == 0
    agent.catch_up()
    records = agent.stop()
    assert_gapless(records)
    (told,) = own(records, "unclean_shutdown")
    assert told["torn_bytes"] == 43
    starts = own(records, "start")
    assert [start["previous_sequence"] for start in starts] == [0, told["last_sequence"]]
    executed = exec_ids(events(records, "process_exec", load.tiny))
    assert len(executed) == len(set(executed)) > 200


def test_a_second_agent_on_the_same_log_is_refused(start_agent: StartAgent, tmp_path: Path) -> None:
    agent = start_agent()
    command = [str(TRACEHOUND), "run", "--config", str(agent.config), "--output", "none"]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert second.returncode not in (0, 1)
    assert f"another agent (pid {agent.pid}) writes the log in {agent.log}" in second.stderr
    agent.catch_up()
    assert_gapless(agent.stop())


def test_a_fork_bomb_is_seen_whole(
    start_agent: StartAgent, load: Load, cgroup: Callable[[str], Cgroup]
) -> None:
    agent = start_agent()
    pids = cgroup("pids")
    pids.limit_pids(64)
    bomb = f"bomb() {{ {load.tiny}; bomb & bomb & }}; bomb"
    process = subprocess.Popen([*pids.enter, "sh", "-c", bomb], stderr=subprocess.DEVNULL)
    time.sleep(2)
    pids.limit_pids(0)
    process.wait()
    pids.kill()
    agent.catch_up()
    assert agent.fresh_status()["lost"] == {}
    records = agent.stop()
    executed = exec_ids(events(records, "process_exec", load.tiny))
    ended = exec_ids(events(records, "process_exit", load.tiny))
    assert len(executed) > 20
    assert sorted(ended) == sorted(executed)
    root = events(records, "process_exec", "/usr/bin/sh")[-1]["process"]["exec_id"]
    for record in records:
        if record.get("process_exec", {}).get("process", {}).get("binary") == load.tiny:
            assert root in record["tracehound"]["ancestry"]


def test_a_reader_that_reads_nothing_slows_nobody(start_agent: StartAgent, load: Load) -> None:
    agent = start_agent()
    command = [str(TRACEHOUND), "events", "-f", "-o", "json", "--log-dir", str(agent.log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as reader:
        load.run(COUNT)
        agent.catch_up()
        assert reader.poll() is None
        reader.kill()
    assert_told_exactly_once(agent, load, COUNT)


HOLE = """
import signal, sys
from agent.daemon import Daemon
opened = Daemon.open
def open(self):
    opened(self)
    signal.signal(signal.SIGUSR1, lambda *_: self.sensor.forget("exit"))
Daemon.open = open
from agent.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
"""An agent whose exit program can be detached from outside, as a hostile program with its rights might."""


def test_a_program_that_somebody_detached_is_attached_again(start_agent: StartAgent, load: Load) -> None:
    agent = start_agent(command=[sys.executable, "-c", HOLE], heartbeat_seconds=1)
    agent.catch_up()
    agent.tell(signal.SIGUSR1)
    wait_until(lambda: agent.own("attachment"), "the hole is found")
    load.run(20)
    agent.catch_up()
    states = agent.fresh_status()["programs"]
    assert all(state["attached"] for state in states)
    records = agent.stop()
    (told,) = own(records, "attachment")
    assert told["program"].startswith("exit_") and told["attached"] is True
    assert len(events(records, "process_exit", load.tiny)) == 20


GARBAGE = """
import sys
from agent.kernel.ring import Ring
drain = Ring.drain
rubbish = [b"", b"\\x01", b"\\xff" * 400, b"\\x01" + b"\\xff" * 399, b"\\x03" + bytes(30)]
rubbish += [b"\\x04" + b"\\xff" * 99]
def with_rubbish(self):
    records = drain(self)
    return records + rubbish if records else records
Ring.drain = with_rubbish
from agent.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_garbage_from_the_ring_is_counted_and_passed_over(start_agent: StartAgent, load: Load) -> None:
    agent = start_agent(command=[sys.executable, "-c", GARBAGE])
    load.run(20)
    agent.catch_up()
    assert set(agent.fresh_status()["lost"]) == {"bad_record"}
    assert_told_exactly_once(agent, load, 20)


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe\x00", b"heartbeat_seconds: [", b"heartbeat_seconds: -1", b"nonsense: 1", b"- 1"],
)
def test_bad_settings_change_nothing(start_agent: StartAgent, content: bytes) -> None:
    agent = start_agent(heartbeat_seconds=1)
    agent.config.write_bytes(content)
    agent.tell(signal.SIGHUP)
    (told,) = wait_until(lambda: agent.own("reload"), "the reload is told")
    assert told["ok"] is False and str(agent.config) in " ".join(told["problems"])
    before = len(agent.own("heartbeat"))
    wait_until(lambda: len(agent.own("heartbeat")) > before + 1, "it still beats every second")
    agent.config.unlink()
    agent.tell(signal.SIGHUP)
    wait_until(lambda: len(agent.own("reload")) == 2, "a settings file that is gone is told too")
    agent.stop()


def test_good_settings_are_taken_and_what_they_change_is_said(start_agent: StartAgent, load: Load) -> None:
    agent = start_agent()
    changed: dict[str, Any] = {**agent.settings, "heartbeat_seconds": 1, "kernel": {"ring_bytes": 65536}}
    changed["enrich"], changed["log"] = {"user_names": False}, {**agent.settings["log"], "ancestry": "none"}
    changed["redaction"] = {**agent.settings["redaction"], "enabled": False}
    run_and_wait([load.tiny, "--password=hunter2-XYZZY"])
    agent.catch_up()
    agent.config.write_text(json.dumps(changed))
    agent.tell(signal.SIGHUP)
    (told,) = wait_until(lambda: agent.own("reload"), "the reload is told")
    assert told["ok"] is True
    effects = [line.rpartition("(")[2] for line in sorted(told["problems"])]
    assert effects == ["applied)", "applied)", "needs a restart)", "applied)", "applied)"]
    wait_until(lambda: len(agent.own("heartbeat")) > 2, "it beats every second now")
    run_and_wait([load.tiny, "--password=hunter2-XYZZY"])
    agent.catch_up()
    lines = [
        r for r in agent.stop() if r.get("process_exec", {}).get("process", {}).get("binary") == load.tiny
    ]
    keys = [{"user", "ancestry"} & line["tracehound"].keys() for line in lines]
    assert keys == [{"user", "ancestry"}, set()]
    secrets = ["hunter2" in str(line["tracehound"]["arguments"]) for line in lines]
    assert secrets == [False, True]
