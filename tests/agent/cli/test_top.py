# SPDX-License-Identifier: Apache-2.0
"""`tracehound top`."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.agent.cli.conftest import START_NS, Call, LogMaker, WriteState
from tests.agent.cli.test_events import read_terminal


@pytest.fixture
def busy(log: LogMaker) -> LogMaker:
    """A minute of work that ends now, and something long ago."""
    now = (time.time_ns() - START_NS) / 1e9
    log.exec(5, "/bin/long-ago", at=0)
    log.segment(at=now - 50)
    shell = log.exec(10, "/bin/sh", at=now - 40)
    for number in range(5):
        child = log.exec(20 + number, "/bin/ls\x1b[2J", parent=shell, at=now - 30 + number)
        log.exit(child, now - 29.5 + number, shell)
    log.loss(12, now - 20, now - 10)
    return log


def test_one_look_shows_the_loudest(call: Call, busy: LogMaker) -> None:
    status, out, err = call("top", "--log-dir", busy.directory)
    assert (status, err) == (0, "")
    assert out.startswith("tracehound: 13 records in 1m00s, 0.2/s, 12 lost\nagent     not running here")
    assert "LOST      12 ring_full at exec (lifecycle)" in out
    assert "        10  /bin/ls\\e[2J\n         1  /bin/sh\n" in out
    assert "         5  10 /bin/sh\n" in out
    assert "long-ago" not in out
    assert "\x1b" not in out


def test_since_widens_the_window(call: Call, busy: LogMaker) -> None:
    assert "long-ago" in call("top", "--log-dir", busy.directory, "--since", "2025-12-31", "--once")[1]


def test_the_agent_s_own_cost_comes_from_its_state(
    call: Call, busy: LogMaker, write_state: WriteState
) -> None:
    write_state(lost={"ring_full": 12}, shed_step=1)
    out = call("top", "--log-dir", busy.directory)[1]
    assert f"agent     pid {os.getpid()}, ok, CPU 1.2 %, RSS 40.0 MiB, PSS 30.0 MiB, shedding step 1" in out
    assert "lost since its start: 12 (ring_full 12)" in out


def test_cost_that_the_state_does_not_tell_is_measured(
    call: Call, busy: LogMaker, write_state: WriteState
) -> None:
    state = write_state()
    for name in ("cpu_percent", "rss_bytes", "pss_bytes"):
        del state[name]
    (busy.directory / "status.json").write_text(json.dumps(state))
    facts = json.loads(call("top", "--log-dir", busy.directory, "-o", "json")[1])
    assert facts["agent"]["rss_bytes"] > 1 << 20
    assert facts["agent"]["cpu_percent"] > 0


def test_json_has_all_figures(call: Call, busy: LogMaker) -> None:
    facts = json.loads(call("top", "--log-dir", busy.directory, "-o", "json")[1])
    assert facts["types"] == {"process_exec": 6, "process_exit": 5, "loss": 1, "segment": 1}
    assert facts["lanes"] == {"lifecycle": 11, "agent": 2}
    assert facts["losses"] == [{"cause": "ring_full", "lane": "lifecycle", "hook": "exec", "count": 12}]
    assert facts["processes"] == [{"pid": 10, "binary": "/bin/sh", "events": 5}]
    assert facts["agent"] is None


def test_a_terminal_is_refreshed_and_left_as_it_was(busy: LogMaker) -> None:
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "agent.cli.main", "top", "--interval", "0.1"]
    process = subprocess.Popen([*command, "--log-dir", str(busy.directory)], stdout=slave)
    os.close(slave)
    first = read_terminal(master, "/bin/sh")
    now = (time.time_ns() - START_NS) / 1e9
    busy.exec(99, "/bin/newcomer", at=now)
    assert "/bin/newcomer" in read_terminal(master, "/bin/newcomer")
    process.send_signal(signal.SIGINT)
    last = read_terminal(master, "\x1b[?1049l")
    os.close(master)
    assert process.wait(timeout=10) == 0
    assert first.startswith("\x1b[?1049h\x1b[?25l")
    assert last.endswith("\x1b[?25h\x1b[?1049l")
    assert "\x1b[2J" not in first


def test_a_wrong_interval_and_a_missing_log_are_told(call: Call, tmp_path: Path) -> None:
    for interval in ("0", "nan", "inf", "-1", "86401"):
        assert call("top", f"--interval={interval}")[0] == 2
    assert call("top", "--log-dir", tmp_path / "none")[0] == 5
