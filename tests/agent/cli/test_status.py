# SPDX-License-Identifier: Apache-2.0
"""`tracehound status`."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from agent.cli.status import policy_counts
from tests.agent.api.support import Agent
from tests.agent.cli.conftest import Call, LogMaker, WriteState, stamp
from tests.agent.cli.test_health import DEAD_PID, ago


def test_a_well_agent_is_shown_with_exit_status_0(call: Call, log: LogMaker, write_state: WriteState) -> None:
    write_state()
    status, out, err = call("status", "--log-dir", log.directory)
    lines = out.splitlines()
    assert (status, err) == (0, "")
    assert lines[:-1] == [
        "tracehound 0.1.0 on n1: ok",
        f"  agent      pid {os.getpid()}, up 2m00s, CPU 1.2 %, RSS 40.0 MiB, PSS 30.0 MiB",
        "  kernel     6.12.0, 1 of 1 programs attached",
        "  events     2,300 (process_exec 1,200, process_exit 1,100), 4ms behind",
        "  lost       0",
        "  ring       16.0 MiB, 1% full, at most 25%",
        "  processes  321",
        "  log        /var/log/th, 3.0 MiB, last sequence 2301, ok",
    ]
    assert re.fullmatch(rf"  updated    \d+m?s ago, by {log.directory}/status.json", lines[-1])


def test_a_degraded_agent_says_why_with_exit_status_1(
    call: Call, log: LogMaker, write_state: WriteState
) -> None:
    write_state(
        health={"state": "degraded", "reasons": ["12 events lost\x1b[2J"]},
        lost={"ring_full": 12},
        programs=[{"name": "exec", "attached": True}, {"name": "exit", "attached": False}],
        shed_step=2,
    )
    status, out, _ = call("status", "--log-dir", log.directory)
    assert status == 1
    assert "tracehound 0.1.0 on n1: degraded\n  ! 12 events lost\\e[2J\n" in out
    assert "1 of 2 programs attached (not attached: exit)" in out
    assert "  lost       12 (ring_full 12)" in out
    assert "  shedding   step 2" in out


def test_an_agent_that_hangs_is_not_well(call: Call, log: LogMaker, write_state: WriteState) -> None:
    write_state(pid=1, updated=ago(20))
    status, out, _ = call("status", "--log-dir", log.directory)
    assert status == 1
    assert "not responding: no news for 20" in out


def test_a_dead_agent_is_exit_status_7_and_says_when_it_was_last_seen(
    call: Call, log: LogMaker, write_state: WriteState
) -> None:
    write_state(pid=DEAD_PID, updated=stamp(0))
    status, out, err = call("status", "--log-dir", log.directory)
    assert (status, out) == (7, "")
    assert f"pid {DEAD_PID} wrote its state last at {stamp(0)} and is gone" in err
    assert "hint: start it" in err


def test_no_agent_is_exit_status_7(call: Call, log: LogMaker) -> None:
    status, _, err = call("status", "--log-dir", log.directory)
    assert status == 7
    assert "no agent writes to" in err


def test_json_is_the_state_and_whether_it_is_stale(
    call: Call, log: LogMaker, write_state: WriteState
) -> None:
    written = write_state()
    facts = json.loads(call("status", "--log-dir", log.directory, "-o", "json")[1])
    assert facts["age_seconds"] < 5
    source = str(log.directory / "status.json")
    assert facts == written | {
        "alive": True,
        "stale": False,
        "age_seconds": facts["age_seconds"],
        "source": source,
    }


def test_json_of_a_dead_agent_is_still_json(call: Call, log: LogMaker, write_state: WriteState) -> None:
    write_state(pid=DEAD_PID, updated="")
    status, out, _ = call("status", "--log-dir", log.directory, "-o", "json")
    facts = json.loads(out)
    assert (status, facts["alive"], facts["stale"], facts["age_seconds"]) == (7, False, True, None)


def test_policies_are_counted_where_there_are_any(call: Call, log: LogMaker, write_state: WriteState) -> None:
    write_state(policies={"enabled": 0, "monitored": 0, "failed": 0, "disabled": 0})
    assert "  policies  " not in call("status", "--log-dir", log.directory)[1]
    write_state(policies={"enabled": 3, "monitored": 1, "failed": 2, "disabled": 1})
    out = call("status", "--log-dir", log.directory)[1]
    assert "  policies   3 enabled, 1 monitored, 2 failed, 1 disabled\n" in out


@pytest.mark.parametrize("keep", [["pid", "updated"], ["pid", "updated", "health", "log", "ring"]])
def test_a_state_with_little_in_it_is_shown(
    call: Call, log: LogMaker, write_state: WriteState, keep: list[str]
) -> None:
    state = write_state()
    (log.directory / "status.json").write_text(json.dumps({key: state[key] for key in keep}))
    status, out, _ = call("status", "--log-dir", log.directory)
    assert status == ("health" not in keep)
    assert f"pid {os.getpid()}" in out


def test_colours_are_given_when_asked_for(call: Call, log: LogMaker, write_state: WriteState) -> None:
    write_state()
    assert "\x1b[32mok\x1b[0m" in call("status", "--log-dir", log.directory, "--color", "always")[1]


def test_health_by_the_api_s_word_is_understood(call: Call, log: LogMaker, write_state: WriteState) -> None:
    write_state(health={"state": "running", "reasons": []})
    assert call("status", "--log-dir", log.directory)[0] == 0
    write_state(health=None)
    status, out, _ = call("status", "--log-dir", log.directory)
    assert (status, "! it does not tell its health" in out) == (1, True)


def test_the_control_socket_tells_it(call: Call, answering: Agent) -> None:
    status, out, _ = call("status", "--socket", answering.path)
    assert (status, out.splitlines()[0]) == (0, "tracehound 0.1.0 on n1: ok")
    assert out.endswith(f"\n  updated    0ms ago, by {answering.path}\n")
    facts = json.loads(call("status", "--socket", answering.path, "-o", "json")[1])
    assert (facts["source"], facts["alive"], "unanswered" in facts) == (answering.path, True, False)


def test_the_configured_socket_is_asked(call: Call, answering: Agent, tmp_path: Path) -> None:
    (tmp_path / "th.yaml").write_text(f"api: {{socket: {answering.path}}}\nlog: {{dir: {tmp_path}/none}}\n")
    status, out, _ = call("status", "--config", tmp_path / "th.yaml")
    assert (status, f", by {answering.path}\n" in out) == (0, True)


def test_why_the_socket_did_not_tell_it_is_shown(call: Call, log: LogMaker, write_state: WriteState) -> None:
    write_state()
    where = ("--socket", "/no/such/socket", "--log-dir", log.directory)
    status, out, _ = call("status", *where)
    why = "no agent answers on /no/such/socket: there is no such socket"
    assert (status, f"\n  socket     {why}\n" in out) == (0, True)
    assert json.loads(call("status", *where, "-o", "json")[1])["unanswered"] == why


def test_a_socket_that_was_named_alone_must_answer(call: Call) -> None:
    status, out, err = call("status", "--socket", "/no/such/socket")
    assert (status, out) == (7, "")
    assert "there is no such socket\nhint: start it with `tracehound run`" in err


def test_a_reload_that_was_refused_is_told(call: Call, log: LogMaker, write_state: WriteState) -> None:
    write_state(reload={"ok": False, "at": stamp(0), "problems": ["f.yaml:1: a: unknown key"]})
    out = call("status", "--log-dir", log.directory)[1]
    assert f"  reload     refused at {stamp(0)}, the old settings stay: f.yaml:1: a: unknown key\n" in out
    write_state(reload={"ok": True, "at": stamp(0), "problems": ["x (needs a restart)"]})
    assert "  reload " not in call("status", "--log-dir", log.directory)[1]


def test_policies_are_counted_in_words() -> None:
    counted = {"enabled": 2, "monitored": 1, "failed": 0, "disabled": 0, "protected": 1200}
    told = "2 enabled, 1 monitored, 0 failed, 1,200 held back from protected processes"
    assert policy_counts(counted) == told
    assert policy_counts({"enabled": 0, "protected": 0}) == ""
