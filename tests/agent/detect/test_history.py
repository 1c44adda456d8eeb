# SPDX-License-Identifier: Apache-2.0
from pathlib import Path
from typing import Any

import pytest

from agent.detect.history import learn_back, told_since
from agent.log.entry import Cursor
from agent.log.reader import LogReader
from tests.exporters.eventlog import EventLog


@pytest.fixture
def log(tmp_path: Path) -> EventLog:
    return EventLog(tmp_path / "log")


def ignore(_record: dict[str, Any]) -> None:
    """Nobody wants it."""


def place_of(log: EventLog) -> Cursor:
    return LogReader(log.directory).end()


def test_processes_of_the_time_before_are_learnt_and_nothing_else(log: EventLog) -> None:
    log.execs(2)
    log.own("heartbeat")
    log.rotate()
    log.exec(kind="process_kprobe")
    log.exec("/bin/cat")
    place = place_of(log)
    log.exec("/bin/after")
    learnt: list[dict[str, Any]] = []
    assert learn_back(log.directory, place, learnt.append, ignore) == 6
    assert [next(iter(record)) for record in learnt].count("process_exec") == 3


def test_events_of_the_last_minute_are_seen_once_more(log: EventLog) -> None:
    for at in (0, 30_000, 89_000):  # milliseconds
        log.count = at
        log.exec(kind="process_kprobe")
    log.count = 90_000
    log.execs(1)
    seen: list[dict[str, Any]] = []
    learn_back(log.directory, place_of(log), ignore, seen.append)
    assert [record["tracehound"]["sequence"] for record in seen] == [3, 4]


def test_at_the_beginning_of_the_log_there_is_nothing_to_learn(log: EventLog) -> None:
    log.execs(2)
    assert learn_back(log.directory, Cursor("", 0, 0), ignore, ignore) == 0


def test_what_was_told_after_a_place_is_known_by_its_key(log: EventLog) -> None:
    log.own("detection", id="before")
    log.own("rules", version="old")
    place = place_of(log)
    log.exec()
    log.own("detection", id="d1")
    log.own("story", id="s1", state="open", count=1)
    end, keys, version = told_since(log.directory, place)
    assert (keys, version, end) == ({"d1", "s1 open 1"}, "", place_of(log))


def test_the_rules_that_were_told_last_are_known(log: EventLog) -> None:
    log.own("rules", version="old")
    log.own("rules", version="new")
    assert told_since(log.directory, Cursor("", 0, 0))[2] == "new"
