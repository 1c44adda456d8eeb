# SPDX-License-Identifier: Apache-2.0
"""What an agent finds when it starts, and what it has in common with the one before."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.support import Agent, begin, end, run, start_agent

pytestmark = [pytest.mark.kernel, pytest.mark.root]


@pytest.fixture
def sleeper(bench: Path) -> Iterator[int]:
    """A living process whose executable was deleted while it ran."""
    copy = bench / "sleeper"
    shutil.copy("/bin/sleep", copy)
    pid = begin(lambda: os.execv(copy, ["sleeper", "1000"]))
    while Path(f"/proc/{pid}/exe").readlink() != copy:
        os.sched_yield()
    copy.unlink()
    yield pid
    os.kill(pid, signal.SIGTERM)
    end(pid)


def test_a_living_process_keeps_its_identity(sleeper: int, tiny: Path, tmp_path: Path) -> None:
    first = start_agent(tmp_path)
    before = first.executed(sleeper)
    mine = first.ended(run([tiny])).last["parent_exec_id"]
    first.stop()
    second = start_agent(tmp_path)
    second.wait(lambda: len(second.lives[sleeper].execs) == 2, "not found again")
    again = second.lives[sleeper]
    assert again.last["exec_id"] == before.last["exec_id"]
    assert again.own["ancestry"] == before.own["ancestry"]
    assert second.ended(run([tiny])).last["parent_exec_id"] == mine
    check_found(again.last, sleeper)
    assert again.own["inode"]["links"] == 0
    second.stop()
    sequences = [record["tracehound"]["sequence"] for record in second.records]
    assert sequences == list(range(1, len(sequences) + 1))


def check_found(process: dict[str, object], pid: int) -> None:
    """A process that was there before the agent looks like one."""
    assert process["pid"] == process["tid"] == pid
    assert str(process["flags"]).split()[0] == "procFS"
    assert process["arguments"] == "1000"
    assert str(process["binary"]).endswith("/sleeper")
    assert process["cwd"] == str(Path.cwd())


def test_the_identity_seen_at_exec_is_the_one_found_later(tiny: Path, tmp_path: Path) -> None:
    first = start_agent(tmp_path)
    pid = begin(lambda: os.execv("/bin/sh", ["sh", "-c", "exec sleep 1000"]))
    first.wait(lambda: len(first.lives[pid].execs) == 2, "no second exec")
    seen = first.lives[pid].last["exec_id"]
    first.stop()
    second: Agent = start_agent(tmp_path)
    second.wait(lambda: len(second.lives[pid].execs) == 3, "not found again")
    os.kill(pid, signal.SIGTERM)
    end(pid)
    life = second.ended(pid)
    assert life.last["exec_id"] == life.end["process"]["exec_id"] == seen
    assert life.end["signal"] == "SIGTERM"
    second.stop()
