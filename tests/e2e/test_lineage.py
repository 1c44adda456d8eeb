# SPDX-License-Identifier: Apache-2.0
"""Who started whom: every way in which Linux makes a process or an image."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.support import Agent, Event, Life, begin, end, identity, pids_of, run

pytestmark = [pytest.mark.kernel, pytest.mark.root]


def lines(*argv: str | Path) -> list[list[int]]:
    """The numbers that a program prints, by line."""
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True)
    return [[int(word) for word in line.split()] for line in done.stdout.splitlines()]


def started_by(life: Life, pid: int) -> bool:
    """Whether the image's parent is this pid, by the event's parent and by its exec_id alike."""
    parent = life.execs[-1]["process_exec"]["parent"]
    own_idea = identity(life.last["parent_exec_id"]).pid
    return bool(life.last["parent_exec_id"] == parent["exec_id"] and own_idea == parent["pid"] == pid)


def spawn_by_fork(tiny: Path, helper: Path) -> tuple[int, int]:
    """(parent, child) of a fork and exec."""
    return os.getpid(), run([tiny])


def spawn_by_posix(tiny: Path, helper: Path) -> tuple[int, int]:
    """(parent, child) of posix_spawn."""
    pid = os.posix_spawn(tiny, [str(tiny)], {})
    assert end(pid) == 0
    return os.getpid(), pid


def spawn_by_vfork(tiny: Path, helper: Path) -> tuple[int, int]:
    """(parent, child) of vfork and exec."""
    with subprocess.Popen([helper, "vfork", tiny], stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        return parent.pid, int(parent.stdout.read().split()[0])


@pytest.mark.parametrize("spawn", [spawn_by_fork, spawn_by_posix, spawn_by_vfork])
def test_a_child_has_its_starter_as_parent(
    agent: Agent, tiny: Path, helper: Path, spawn: Callable[[Path, Path], tuple[int, int]]
) -> None:
    parent, child = spawn(tiny, helper)
    life = agent.ended(child)
    assert len(life.execs) == 1
    assert started_by(life, parent)
    assert life.last["binary"] == str(tiny)
    assert "clone" in life.last["flags"].split()
    assert life.end["process"] == life.last


def test_an_exec_without_a_fork_has_the_image_before_as_parent(agent: Agent, tiny: Path) -> None:
    life = agent.ended(run(["/bin/sh", "-c", f'exec /bin/sh -c "exec {tiny}"']))
    first, second, third = [event["process_exec"]["process"] for event in life.execs]
    assert started_by(life, first["pid"])
    assert second["parent_exec_id"] == first["exec_id"]
    assert third["parent_exec_id"] == second["exec_id"]
    assert third["flags"].split() == [word for word in first["flags"].split() if word != "clone"]
    assert [event["tracehound"]["ancestry"][-1] for event in life.execs] == [life.own["ancestry"][-1]] * 3
    assert life.end["process"]["exec_id"] == third["exec_id"]


def test_a_process_that_never_executes_is_seen_at_its_end(agent: Agent) -> None:
    pid = begin(lambda: os._exit(3))
    end(pid)
    life = agent.ended(pid)
    assert not life.execs
    assert life.end["process"]["flags"] == "clone"
    assert life.end["parent"]["pid"] == os.getpid()
    assert life.end["process"]["binary"] == life.end["parent"]["binary"]


def test_a_process_that_never_executes_is_told_of_before_its_child(
    agent: Agent, helper: Path, tiny: Path
) -> None:
    (child, _), (silent, status) = lines(helper, "silent", tiny)
    life = agent.ended(silent)
    told = [r for r in agent.own_records("fork") if r["tracehound"]["fork"]["process"]["pid"] == silent]
    assert len(told) == 1
    assert agent.records.index(told[0]) < agent.records.index(agent.lives[child].execs[0])
    assert told[0]["tracehound"]["fork"]["process"] == life.end["process"]
    assert started_by(agent.lives[child], silent)
    assert os.waitstatus_to_exitcode(status) == life.end["status"] == 3


def test_a_thread_that_executes_becomes_the_process(agent: Agent, helper: Path, tiny: Path) -> None:
    life = agent.ended(run([helper, "thread", tiny]))
    assert [event["process_exec"]["process"]["binary"] for event in life.execs] == [str(helper), str(tiny)]
    assert life.last["parent_exec_id"] == life.execs[0]["process_exec"]["process"]["exec_id"]
    assert life.end["process"]["exec_id"] == life.last["exec_id"]


def test_who_called_clone_is_told_apart_from_the_parent(agent: Agent, helper: Path, tiny: Path) -> None:
    with subprocess.Popen([helper, "sibling", tiny], stdout=subprocess.PIPE) as starter:
        assert starter.stdout
        creator, _, sibling, _ = [int(word) for word in starter.stdout.read().split()]
    life = agent.ended(sibling)
    assert started_by(life, starter.pid)
    assert identity(life.own["creator"]).pid == creator
    assert agent.ended(creator).end["process"]["exec_id"] == life.own["creator"]


def test_a_daemon_keeps_its_ancestors_when_it_gets_another_parent(
    agent: Agent, helper: Path, tiny: Path
) -> None:
    with subprocess.Popen([helper, "daemon", tiny], stdout=subprocess.PIPE) as starter:
        assert starter.stdout
        middle, daemon = [int(word) for word in starter.stdout.read().split()]
    life = agent.ended(daemon)
    assert started_by(life, middle)
    assert pids_of(life.own["ancestry"])[:3] == [middle, starter.pid, os.getpid()]


def test_a_nested_pid_namespace(agent: Agent, tiny: Path) -> None:
    argv = ["unshare", "--pid", "--fork", "--mount-proc", "/bin/sh", "-c", f"{tiny}; exit 5"]
    with subprocess.Popen(argv) as outer:
        pass
    assert outer.returncode == 5
    agent.ended(outer.pid)
    inner = next(
        life for life in agent.lives.values() if life.execs and started_by(life, outer.pid) and life.exits
    )
    child = next(life for life in agent.lives.values() if life.execs and started_by(life, inner.last["pid"]))
    assert (inner.own["nspid"], child.own["nspid"]) == (1, 2)
    assert inner.last["in_init_tree"] and child.last["in_init_tree"]
    assert "inInitTree" in inner.last["flags"].split()
    assert inner.own["ns"]["pid"] == child.own["ns"]["pid"] != Path("/proc/self/ns/pid").stat().st_ino
    assert not agent.lives[outer.pid].last["in_init_tree"]
    assert "nspid" not in agent.lives[outer.pid].own


def test_ancestry_reaches_pid_1(agent: Agent, tiny: Path) -> None:
    life = agent.ended(run([tiny]))
    above, expected = os.getpid(), []
    while above:
        expected.append(above)
        above = int(Path(f"/proc/{above}/stat").read_text().rpartition(")")[2].split()[1])
    assert pids_of(life.own["ancestry"]) == expected
    assert life.own["ancestry"][0] == life.last["parent_exec_id"]
    assert life.exits[0]["tracehound"]["ancestry"] == life.own["ancestry"]
    described = {one["exec_id"] for one in processes(agent)}
    assert set(life.own["ancestry"]) <= described


def processes(agent: Agent) -> Iterator[Event]:
    """Every process that the log describes, by an exec of its own, by a child's, or by `fork`."""
    for record in agent.records:
        event = record.get("process_exec") or record["tracehound"].get("fork") or {}
        yield from (event[key] for key in ("process", "parent") if key in event)
