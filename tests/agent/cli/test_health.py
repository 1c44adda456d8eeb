# SPDX-License-Identifier: Apache-2.0
"""Whether the agent that wrote status.json still lives."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from agent.cli import health
from agent.cli.arguments import Whereabouts
from agent.cli.health import ask_state, explain_dead, read_state, require_alive
from agent.cli.main import main
from agent.errors import AgentUnreachable, LogUnavailable
from tests.agent.api.support import Agent
from tests.agent.cli.conftest import START_NS, LogMaker, WriteState, stamp

DEAD_PID = 2**22 + 1
"""Above every pid that the kernel gives out."""


def ago(seconds: float) -> str:
    return stamp((time.time_ns() - START_NS) / 1e9 - seconds)


def test_a_fresh_state_is_alive_even_in_another_pid_namespace(log: LogMaker, write_state: WriteState) -> None:
    write_state(pid=DEAD_PID)
    state = read_state(log.directory)
    assert (state.alive, state.fresh) == (True, True)


def test_an_old_state_of_a_living_process_is_alive_but_not_fresh(
    log: LogMaker, write_state: WriteState
) -> None:
    write_state(pid=1, updated=ago(6))
    state = read_state(log.directory)
    assert (state.alive, state.fresh) == (True, False)


def test_a_zombie_is_dead(log: LogMaker, write_state: WriteState, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "FRESH_SECONDS", -1)
    with subprocess.Popen(["sleep", "60"]) as process:
        write_state(pid=process.pid)
        assert read_state(log.directory).alive
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not read_state(log.directory).alive


def test_an_old_state_of_a_dead_process_is_dead(log: LogMaker, write_state: WriteState) -> None:
    write_state(pid=DEAD_PID, updated=ago(60))
    assert not read_state(log.directory).alive
    with pytest.raises(AgentUnreachable, match=f"pid {DEAD_PID} wrote its state last at"):
        require_alive(log.directory)


def test_a_pid_that_somebody_else_got_since_is_dead(log: LogMaker, write_state: WriteState) -> None:
    write_state(updated=ago(10**6))
    assert not read_state(log.directory).alive, "this process began after the state was written"


def test_a_state_of_another_boot_is_dead(log: LogMaker, write_state: WriteState) -> None:
    write_state(boot_id="another", updated=ago(60))
    assert not read_state(log.directory).alive


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"pid": "x"}', "\xff"])
def test_what_is_no_state_is_told(log: LogMaker, text: str) -> None:
    (log.directory / "status.json").write_text(text, encoding="latin-1")
    with pytest.raises(AgentUnreachable):
        read_state(log.directory)


def test_no_state_at_all_is_told(tmp_path: Path) -> None:
    with pytest.raises(AgentUnreachable, match=r"no agent writes to .*: there is no status\.json"):
        read_state(tmp_path)
    with pytest.raises(AgentUnreachable):
        read_state(tmp_path / "none")


def test_a_state_that_cannot_be_read_is_told(log: LogMaker) -> None:
    (log.directory / "status.json").mkdir()
    with pytest.raises(LogUnavailable, match="Is a directory"):
        read_state(log.directory)


def test_a_state_without_time_is_as_old_as_can_be(log: LogMaker, write_state: WriteState) -> None:
    write_state(pid=DEAD_PID, updated="")
    state = read_state(log.directory)
    assert (state.age_seconds, state.alive) == (float("inf"), False)
    assert "is gone" in explain_dead(state).message


def test_the_socket_is_asked_first(log: LogMaker, write_state: WriteState, answering: Agent) -> None:
    write_state(node_name="another")
    state = ask_state(Whereabouts(answering.path, log.directory))
    assert (state.content, state.source, state.unanswered) == (answering.status, answering.path, "")
    assert (state.alive, state.fresh) == (True, True)


def test_the_file_tells_where_no_socket_is(log: LogMaker, write_state: WriteState) -> None:
    written = write_state()
    state = ask_state(Whereabouts("/no/such/socket", log.directory))
    assert (state.content, state.source) == (written, str(log.directory / "status.json"))
    assert state.unanswered == "no agent answers on /no/such/socket: there is no such socket"
    assert ask_state(Whereabouts("", log.directory)).unanswered == ""


def test_the_file_tells_of_an_agent_that_hangs(
    log: LogMaker, write_state: WriteState, answering: Agent
) -> None:
    write_state(pid=1, updated=ago(20))
    answering.delay_s = 4
    state = ask_state(Whereabouts(answering.path, log.directory))
    assert (state.alive, state.fresh, state.unanswered) == (True, False, "the agent does not answer")


def test_with_neither_both_are_named(log: LogMaker) -> None:
    with pytest.raises(AgentUnreachable, match=r"no such socket\nno agent writes to .*: there is no status"):
        ask_state(Whereabouts("/no/such/socket", log.directory))
    with pytest.raises(AgentUnreachable, match=r"no such socket$"):
        ask_state(Whereabouts("/no/such/socket", None))


def test_a_fresh_state_of_a_process_that_is_gone_is_dead(log: LogMaker, write_state: WriteState) -> None:
    here = str(os.stat("/proc/self/ns/pid").st_ino)
    write_state(pid=DEAD_PID, pid_ns=here)
    assert not read_state(log.directory).alive
    write_state(pid_ns=here)
    assert read_state(log.directory).alive


def checked(log: LogMaker, capsys: pytest.CaptureFixture[str], *flags: str) -> tuple[int, str]:
    status = main(["health", "--log-dir", str(log.directory), *flags])
    return status, capsys.readouterr().out


WELL = {"state": "running", "programs": [{"name": "exec", "attached": True}]}


def test_an_agent_that_does_its_work_passes(
    log: LogMaker, write_state: WriteState, capsys: pytest.CaptureFixture[str]
) -> None:
    write_state(**WELL)
    status, text = checked(log, capsys)
    assert (status, text.splitlines()[0]) == (0, "[+] agent: running")


def test_one_whose_log_is_not_written_is_alive_and_not_ready(
    log: LogMaker, write_state: WriteState, capsys: pytest.CaptureFixture[str]
) -> None:
    write_state(**WELL, log={"state": "full", "error": "disk\x1b[31m"})
    status, text = checked(log, capsys)
    assert (status, text.splitlines()[0]) == (1, "[-] log: it cannot be written: disk\\e[31m")
    assert checked(log, capsys, "--live")[0] == 0


def test_checks_are_told_as_json(
    log: LogMaker, write_state: WriteState, capsys: pytest.CaptureFixture[str]
) -> None:
    write_state(**{**WELL, "programs": []})
    status, text = checked(log, capsys, "--live", "-o", "json")
    told = json.loads(text)
    assert (status, told["passes"]) == (1, False)
    assert {"name": "sensors", "grade": "dead", "text": "no program is attached"} in told["checks"]


def test_without_an_agent_there_is_no_health(log: LogMaker, write_state: WriteState) -> None:
    write_state(pid=DEAD_PID, updated=ago(60))
    assert main(["health", "--log-dir", str(log.directory)]) == 7
