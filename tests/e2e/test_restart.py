# SPDX-License-Identifier: Apache-2.0
"""What an agent finds when it starts, and what it has in common with the one before."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.support import Agent, Event, begin, end, run, start_agent

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


@pytest.fixture
def watched() -> Iterator[list[int]]:
    """The pid of a process that begins and executes while the first agent watches."""
    pids: list[int] = []
    yield pids
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
        end(pid)


def test_living_processes_keep_their_identity(
    sleeper: int, watched: list[int], tiny: Path, tmp_path: Path
) -> None:
    first = start_agent(tmp_path)
    watched.append(begin(lambda: os.execv("/bin/sh", ["sh", "-c", "exec sleep 1000"])))
    first.wait(lambda: len(first.lives[watched[0]].execs) == 2, "no second exec")
    before = {pid: first.executed(pid).own["ancestry"] for pid in (sleeper, *watched)}
    ids = {pid: first.lives[pid].last["exec_id"] for pid in before}
    mine = first.ended(run([tiny])).last["parent_exec_id"]
    first.stop()
    second = start_agent(tmp_path)
    second.wait(lambda: second.lives[sleeper].execs[1:] and second.lives[watched[0]].execs[2:], "not found")
    assert {pid: second.lives[pid].last["exec_id"] for pid in ids} == ids
    assert second.lives[sleeper].own["ancestry"] == before[sleeper]
    assert second.lives[watched[0]].own["ancestry"] == before[watched[0]][1:]
    assert second.ended(run([tiny])).last["parent_exec_id"] == mine
    check_found(second.lives[sleeper].last, sleeper)
    assert second.lives[sleeper].own["inode"]["links"] == 0
    check_end(second, watched.pop())
    second.stop()
    sequences = [record["tracehound"]["sequence"] for record in second.records]
    assert sequences == list(range(1, len(sequences) + 1))


def check_found(process: Event, pid: int) -> None:
    """A process that was there before the agent looks like one."""
    assert process["pid"] == process["tid"] == pid
    assert process["flags"].split()[0] == "procFS"
    assert process["arguments"] == "1000"
    assert process["binary"].endswith("/sleeper")
    assert process["cwd"] == str(Path.cwd())


def check_end(agent: Agent, pid: int) -> None:
    """The end of a process that was found has the identity under which it was found."""
    os.kill(pid, signal.SIGTERM)
    end(pid)
    life = agent.ended(pid)
    assert life.end["process"]["exec_id"] == life.last["exec_id"]
    assert life.end["signal"] == "SIGTERM"
