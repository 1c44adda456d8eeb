# SPDX-License-Identifier: Apache-2.0
"""What the guest finds out about a log; the power itself is cut by `make poweroff`."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from agent.log.segments import list_segments
from agent.log.writer import LogWriter
from vmtest import poweroffguest
from vmtest.poweroffguest import Plan, Promise, Stretch, compact_one, event, examine, stretches

PLAN = Plan(fsync_seconds=0, acknowledged=100, compacts=True, first=False, last=False, control=False)
Boot = Callable[[str], LogWriter]


@pytest.fixture
def boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Boot:
    """Opens a writer in another boot; the one before is left as a power cut does."""
    monkeypatch.setattr(poweroffguest, "LOG", tmp_path)
    opened: list[LogWriter] = []

    def start(boot_id: str) -> LogWriter:
        while opened:
            opened.pop()._chain.close()
        writer = LogWriter(poweroffguest.settings(PLAN), replace(poweroffguest.facts(), boot_id=boot_id))
        writer.open()
        opened.append(writer)
        return writer

    return start


def written(writer: LogWriter, batches: int) -> int:
    """Appends, compacts and lets retention work; returns the last number."""
    for _ in range(batches):
        writer.append([event(number) for number in range(20)])
        compact_one(writer)
        writer.tick()
    return writer.last_sequence


def test_a_log_that_lost_nothing_has_no_problems(boot: Boot, tmp_path: Path) -> None:
    last = written(boot("a"), 40)
    boot("b")
    found = examine(tmp_path, PLAN._replace(acknowledged=last))
    assert (found["problems"], found["last"]) == ([], last)
    assert found["segments"]["compacted"] and found["segments"]["expired"]


def test_an_acknowledged_record_that_is_gone_is_a_problem(boot: Boot, tmp_path: Path) -> None:
    last = written(boot("a"), 2)
    newest = tmp_path / str(list_segments(tmp_path)[-1])
    newest.write_bytes(newest.read_bytes()[:-10])
    boot("b")
    problems = examine(tmp_path, PLAN._replace(acknowledged=last))["problems"]
    assert f"record {last} was acknowledged, {last - 1} is the last one" in problems
    assert any("told wrongly" in problem for problem in problems)


def test_an_end_in_order_is_a_problem_after_a_cut(boot: Boot, tmp_path: Path) -> None:
    boot("a").close("done")
    boot("b")
    assert examine(tmp_path, PLAN._replace(acknowledged=0))["problems"] == [
        "0 records of an unclean shutdown"
    ]


def test_numbers_are_told_as_rows_without_a_hole() -> None:
    numbers = [("a", 1), ("a", 2), ("a", 4), ("b", 1)]
    rows = stretches([(boot_id, {"sequence": number}) for boot_id, number in numbers])
    assert list(rows) == [Stretch("a", 1, 2), Stretch("a", 4, 4), Stretch("b", 1, 1)]


def test_what_is_as_old_as_the_window_is_promised() -> None:
    promise = Promise(1.0)
    for now, sequence in ((0.0, 10), (0.5, 20), (1.5, 30)):
        promise.written(sequence, now)
    promise.ticked(1.6)
    assert promise.sequence == 20
    promise.ticked(2.5)
    assert promise.sequence == 30
