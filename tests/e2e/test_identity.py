# SPDX-License-Identifier: Apache-2.0
"""As whom and where a program ran: users, privileges, terminal, session, cgroup."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import subprocess
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from agent.log.capabilities import capability_masks
from tests.e2e.support import Agent, begin, end, run

pytestmark = [pytest.mark.kernel, pytest.mark.root]

NOBODY = pwd.getpwnam("nobody")


def become_nobody() -> None:
    """Gives up root for good."""
    os.setgroups([])
    os.setresgid(NOBODY.pw_gid, NOBODY.pw_gid, NOBODY.pw_gid)
    os.setresuid(NOBODY.pw_uid, NOBODY.pw_uid, NOBODY.pw_uid)


@pytest.fixture
def privileged(bench: Path, tiny: Path) -> Iterator[Path]:
    """A copy of the tiny program to give privileges to."""
    copy = bench / "privileged"
    shutil.copy(tiny, copy)
    yield copy
    copy.unlink()


def needs_privileges(agent: Agent) -> None:
    """Only where a program answers that question; no kernel that we name as supported may skip this."""
    if not agent.attached("privileges"):
        pytest.skip("no program tells about privileges on this kernel")


def test_root_has_no_extra_credentials_in_its_events(agent: Agent, tiny: Path) -> None:
    life = agent.ended(run([tiny]))
    assert life.last["uid"] == 0
    assert life.own["user"] == "root"
    assert int(capability_masks(life.own["cap"])["effective"], 16) == capabilities("CapEff")
    assert "cred" not in life.own and "binary_properties" not in life.own


def capabilities(name: str) -> int:
    """One of this process's sets (proc(5), status)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{name}:")[1].split()[0], 16)


def test_a_user_is_named(agent: Agent, tiny: Path) -> None:
    life = agent.ended(run([tiny], become_nobody))
    assert life.last["uid"] == NOBODY.pw_uid
    assert life.own["user"] == "nobody"
    assert "cap" not in life.own
    gid = NOBODY.pw_gid
    ids = [NOBODY.pw_uid, gid] * 4
    assert life.own.get("cred", ids) == ids


def test_all_eight_ids_are_told_when_they_differ(agent: Agent, tiny: Path) -> None:
    def prepare() -> None:
        os.setresgid(101, 102, 103)
        os.setresuid(201, 0, 203)

    life = agent.ended(run([tiny], prepare))
    assert life.own["cred"] == [201, 101, 0, 102, 0, 102, 0, 102]
    assert life.last["uid"] == 0


def test_a_setuid_program(agent: Agent, privileged: Path) -> None:
    needs_privileges(agent)
    privileged.chmod(0o4755)
    life = agent.ended(run([privileged], become_nobody))
    properties = life.own["binary_properties"]
    assert properties == {"setuid": 0, "privileges_changed": ["PRIVILEGES_RAISED_EXEC_FILE_SETUID"]}
    assert life.last["uid"] == 0
    assert life.own["cred"][:3] == [NOBODY.pw_uid, NOBODY.pw_gid, 0]


def test_a_setgid_program(agent: Agent, privileged: Path) -> None:
    needs_privileges(agent)
    os.chown(privileged, -1, 4242)
    privileged.chmod(0o2755)
    life = agent.ended(run([privileged], become_nobody))
    assert life.own["binary_properties"] == {"setgid": 4242}
    assert life.own["cred"][3] == 4242


def test_file_capabilities(agent: Agent, privileged: Path) -> None:
    needs_privileges(agent)
    if shutil.which("setcap", path="/usr/sbin:/sbin:/usr/bin") is None:
        pytest.skip("no setcap on this machine")
    subprocess.run(["setcap", "cap_net_raw+ep", privileged], check=True)
    life = agent.ended(run([privileged], become_nobody))
    assert life.own["binary_properties"] == {"privileges_changed": ["PRIVILEGES_RAISED_EXEC_FILE_CAP"]}
    assert life.own["cap"] == "2000"


def test_root_gains_nothing_from_a_setuid_program(agent: Agent, privileged: Path) -> None:
    privileged.chmod(0o4755)
    assert "binary_properties" not in agent.ended(run([privileged])).own


def test_the_next_exec_of_a_privileged_process_raised_nothing(
    agent: Agent, bench: Path, helper: Path, tiny: Path
) -> None:
    raising = bench / "raising"
    shutil.copy(helper, raising)
    raising.chmod(0o4755)
    life = agent.ended(run([raising, "thread", tiny], become_nobody))
    assert len(life.execs) == 2
    assert "binary_properties" not in life.own


def test_session_group_and_terminal(agent: Agent, tiny: Path) -> None:
    terminal, end_of_child = os.openpty()
    name = os.ttyname(end_of_child)

    def action() -> NoReturn:
        os.setsid()
        fcntl.ioctl(end_of_child, termios.TIOCSCTTY, 0)
        os.execv("/bin/bash", ["bash", "-c", f"set -m; {tiny}; true"])

    pid = begin(action)
    assert end(pid) == 0
    os.close(end_of_child)
    os.close(terminal)
    shell = agent.ended(pid)
    child = next(
        life
        for life in agent.lives.values()
        if life.execs and life.last["parent_exec_id"] == shell.last["exec_id"]
    )
    assert (shell.own["sid"], shell.own["pgid"]) == (pid, pid)
    assert (child.own["sid"], child.own["pgid"]) == (pid, child.last["pid"])
    assert child.own["tty"] == shell.own["tty"]
    assert name == "/dev/pts/" + shell.own["tty"].removeprefix("pts")


def test_without_a_terminal_there_is_none(agent: Agent, tiny: Path) -> None:
    life = agent.ended(run([tiny], os.setsid))
    assert "tty" not in life.own
    assert life.own["sid"] == life.own["pgid"] == life.last["pid"]


@pytest.fixture
def cgroup() -> Iterator[Path]:
    """A cgroup in the hierarchy that names containers on this host."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    first = [m[1] for m in mounts if m[2] == "cgroup" and "pids" in m[3].split(",")]
    directory = Path((first + [m[1] for m in mounts if m[2] == "cgroup2"])[0]) / f"e2e-{os.getpid()}.scope"
    directory.mkdir()
    yield directory
    directory.rmdir()


def test_the_cgroup_is_told_by_number_and_name(agent: Agent, tiny: Path, cgroup: Path) -> None:
    def enter() -> None:
        (cgroup / "cgroup.procs").write_text(str(os.getpid()))

    life = agent.ended(run([tiny], enter))
    assert life.own["cgroup"] == {"id": str(cgroup.stat().st_ino), "name": cgroup.name}


def test_own_namespaces_are_told_and_the_hosts_are_not(agent: Agent, tiny: Path) -> None:
    assert "ns" not in agent.ended(run([tiny])).own

    def action() -> NoReturn:
        os.execvp("unshare", ["unshare", "--uts", "--net", str(tiny)])

    pid = begin(action)
    assert end(pid) == 0
    life = agent.ended(pid)
    assert life.own["ns"].keys() == {"uts", "net"}
