# SPDX-License-Identifier: Apache-2.0
"""Several processes find what one does, in the same order."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.detect.exceptions import Exceptions
from agent.detect.hunters import Summary, Task, hunt, jobs_for
from agent.detect.rules import Rule
from agent.errors import TracehoundError
from tests.agent.cli.conftest import LogMaker
from tests.agent.detect.found import check, rule
from tests.agent.store.support import compact_all

RULES = (
    rule(check("Ancestors", "endswith", "/dash"), id="above"),
    rule(check("CommandLine", "contains", "n3"), id="three"),
)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five segments, the last two as lines; a shell of the first one starts what is in all of them."""
    made = LogMaker(tmp_path_factory.mktemp("hunters") / "log")
    shell = made.exec(2, "/bin/sh", at=1, own={"exe": "/usr/bin/dash"})
    for number in range(5):
        made.exec(10 + number, "/bin/true", f"n{number}", parent=shell, at=10 * number + 2)
        made.segment(at=10 * number + 9)
        if number == 2:
            compact_all(made.directory)
    return made.directory


def found(
    log: Path, jobs: int, limit: int = 99, rules: tuple[Rule, ...] = RULES
) -> tuple[list[Any], Summary]:
    summary = Summary()
    contents = hunt(Task(log, rules, Exceptions(), limit=limit), jobs, summary)
    return [(one["rule"]["id"], one["process"]["pid"]) for one in contents], summary


@pytest.mark.parametrize("jobs", [1, 2, 3, 9])
def test_the_answer_is_that_of_one_process(log: Path, jobs: int) -> None:
    contents, summary = found(log, jobs)
    wanted = [("above", 10), ("above", 11), ("above", 12), ("above", 13), ("three", 13), ("above", 14)]
    assert sorted(contents) == sorted(wanted) and [pid for _, pid in contents] == [10, 11, 12, 13, 13, 14]
    assert summary.counts == {"above": 5, "three": 1} and summary.problems == []


def test_all_are_counted_and_the_first_ones_shown(log: Path) -> None:
    contents, summary = found(log, 2, limit=2)
    assert contents == [("above", 10), ("above", 11)] and summary.counts.total() == 6


def test_how_far_it_is_only_grows(log: Path) -> None:
    told: list[tuple[int, int]] = []
    for _ in hunt(Task(log, RULES, Exceptions()), 2, Summary(), lambda *at: told.append(at)):
        pass
    done, total = told[-1]
    assert done == total > 0


def test_what_cannot_be_read_is_told_once(tmp_path: Path) -> None:
    made = LogMaker(tmp_path / "log")
    for number in range(3):
        made.exec(10 + number, "/bin/true", at=10 * number)
        made.segment(at=10 * number + 9)
    compact_all(made.directory)
    next((made.directory / "store").glob("*.parquet")).write_bytes(b"PAR1 no")
    _, summary = found(made.directory, 2)
    assert len(summary.problems) == 1 and "it is damaged" in summary.problems[0]


def test_a_small_log_is_not_worth_more_than_one_process(log: Path) -> None:
    assert jobs_for(Task(log, RULES, Exceptions()), 8) == 1


def test_a_process_that_is_killed_is_told(log: Path) -> None:
    running = hunt(Task(log, RULES, Exceptions()), 2, Summary(), lambda *_: kill_children())
    with pytest.raises(TracehoundError, match="ended before it was done"):
        list(running)


def kill_children() -> None:
    for pid in children():
        os.kill(pid, signal.SIGKILL)


def children() -> Iterator[int]:
    for path in Path("/proc/self/task").glob("*/children"):
        yield from map(int, path.read_text().split())


def test_what_is_not_installed_is_told(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(TracehoundError, match="needs the Python package pyarrow"):
        found(log, 2)


def test_nobody_is_left_when_the_asker_stops(log: Path) -> None:
    before = set(children())
    running = hunt(Task(log, RULES, Exceptions()), 3, Summary())
    next(running)
    running.close()
    assert set(children()) <= before
