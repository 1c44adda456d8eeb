# SPDX-License-Identifier: Apache-2.0
"""How processes end: one exit event each, saying what wait(2) says."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
from pathlib import Path

import pytest

from agent.log.encode import signal_name
from tests.e2e.support import Agent, begin, end

pytestmark = [pytest.mark.kernel, pytest.mark.root]

STORM = 640
"""Processes whose four threads end at the same moment."""


def waited(*argv: str | Path) -> dict[int, int]:
    """Wait statuses by pid, as the helper's printed lines have them."""
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True)
    pairs = [line.split() for line in done.stdout.splitlines()]
    return {int(pid): int(status) for pid, status in pairs}


def told(agent: Agent, pid: int) -> tuple[str, int]:
    """(signal, status) of the exit event; there must be exactly one."""
    event = agent.ended(pid).end
    return event.get("signal", ""), event.get("status", 0)


def truth(status: int) -> tuple[str, int]:
    """(signal, status) that wait(2) gave."""
    if os.WIFSIGNALED(status):
        return signal_name(os.WTERMSIG(status)), 0
    return "", os.WEXITSTATUS(status)


def check(agent: Agent, statuses: dict[int, int]) -> None:
    """Every one of these processes ended once, and as its parent saw it."""
    agent.ended(list(statuses)[-1])
    assert {pid: told(agent, pid) for pid in statuses} == {
        pid: truth(status) for pid, status in statuses.items()
    }


@pytest.mark.spread
def test_every_exit_status(agent: Agent, helper: Path) -> None:
    statuses = waited(helper, "statuses")
    assert sorted(map(os.WEXITSTATUS, statuses.values())) == list(range(256))
    check(agent, statuses)


@pytest.mark.spread
def test_every_deadly_signal(agent: Agent, helper: Path) -> None:
    statuses = waited(helper, "signals")
    assert {os.WTERMSIG(s) for s in statuses.values()} >= {
        signal.SIGKILL,
        signal.SIGSEGV,
        signal.SIGRTMIN + 3,
    }
    check(agent, statuses)


def test_threads_that_end_at_once_end_their_process_once(agent: Agent, helper: Path) -> None:
    statuses = waited(helper, "storm", str(STORM))
    assert len(statuses) == STORM
    check(agent, statuses)


def test_a_dumped_core_is_a_signal_too(agent: Agent, tmp_path: Path) -> None:
    def crash() -> None:
        os.chdir(tmp_path)
        resource.setrlimit(resource.RLIMIT_CORE, (1 << 20, 1 << 20))
        os.kill(os.getpid(), signal.SIGQUIT)

    pid = begin(crash)
    status = end(pid)
    assert os.WTERMSIG(status) == signal.SIGQUIT
    assert told(agent, pid) == ("SIGQUIT", 0)
