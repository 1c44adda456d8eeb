# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import pytest

from tests.agent.cli.conftest import Call, LogMaker
from tests.agent.store.support import session


@pytest.fixture
def log(tmp_path: Path) -> LogMaker:
    return session(tmp_path / "log")


def test_a_timeline_is_one_line_per_event_and_says_what_it_may_miss(call: Call, log: LogMaker) -> None:
    status, out, _ = call("timeline", "--log-dir", log.directory, "--pid", 50)
    assert status == 0
    assert "51 curl            connect 203.0.113.7:443/tcp  [net]" in out
    assert "this timeline may miss children between" in out


def test_json_names_who_did_it(call: Call, log: LogMaker) -> None:
    facts = json.loads(call("timeline", "--log-dir", log.directory, "--pid", 51, "-o", "json")[1])
    assert [(event["type"], event["pid"]) for event in facts["events"]] == [
        ("process_exec", 51), ("process_kprobe", 51), ("process_exit", 51),
    ]  # fmt: skip


def test_a_limit_keeps_the_newest_and_tells_how_many_are_left_out(call: Call, log: LogMaker) -> None:
    every = call("timeline", "--log-dir", log.directory, "--pid", 50)[1].splitlines()
    last = call("timeline", "--log-dir", log.directory, "--pid", 50, "--limit", 2)[1].splitlines()
    assert last[:2] == every[4:6] and "4 older events are left out" in last[2]


def test_an_unknown_process_is_an_error(call: Call, log: LogMaker) -> None:
    status, out, err = call("timeline", "--log-dir", log.directory, "--pod", "a/b")
    assert (status, out) == (2, "")
    assert "no process with a/b is in the log" in err
