# SPDX-License-Identifier: Apache-2.0
"""Searching a log for texts."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.cli.scan import Scan, lines_with
from agent.errors import LogUnavailable
from agent.log.records import OWN_HEAD
from tests.agent.cli.conftest import START_NS, LogMaker, stamp

LINES = st.lists(st.text(alphabet="abc", max_size=8).map(str.encode), max_size=20)


@given(LINES, st.lists(st.text(alphabet="abc", min_size=1, max_size=3).map(str.encode), max_size=3))
@settings(deadline=None)
def test_the_lines_that_hold_a_text_are_found_once_and_in_order(
    lines: list[bytes], needles: list[bytes]
) -> None:
    chunk = b"".join(line + b"\n" for line in lines)
    assert list(lines_with(chunk, needles)) == [line for line in lines if any(n in line for n in needles)]


def test_texts_may_be_added_on_the_way() -> None:
    needles = [b"one"]
    found = []
    for line in lines_with(b"two\none\ntwo\n" + OWN_HEAD + b"\none", needles):
        found.append(line)
        needles.append(b"two")
    assert found == [b"one", b"two", OWN_HEAD, b"one"]


def test_events_and_own_records_come_in_order_across_segments(log: LogMaker) -> None:
    log.exec(7, "/bin/a", at=1)
    log.exec(8, "/bin/b", at=2)
    log.segment(at=3)
    log.exec(7, "/bin/c", at=4)
    kinds = [next(iter(record)) for record in Scan(log.directory).records([b'"pid":7,'])]
    assert kinds == ["tracehound", "process_exec", "tracehound", "process_exec"]


def test_since_leaves_out_what_is_older(log: LogMaker) -> None:
    log.exec(7, "/bin/a", at=1)
    log.exec(7, "/bin/b", at=2)
    scan = Scan(log.directory, START_NS + 2 * 10**9)
    assert [record["time"] for record in scan.records([b"/bin"])] == [stamp(2)]


def test_a_text_inside_of_an_argument_is_not_taken_for_ancestry(log: LogMaker) -> None:
    log.exec(7, "/bin/a", '"ancestry":', at=1)
    (segment,) = Scan(log.directory).records([b"zzz"], lambda _: True)
    assert "segment" in segment["tracehound"], "all lines have their ancestry, so nobody asks"


def test_a_removed_segment_is_a_notice(log: LogMaker) -> None:
    for at in (0, 10, 20):
        log.segment(at=at)
        log.exec(7, "/bin/a", at=at + 1)
    sorted(log.directory.iterdir())[1].unlink()
    records = list(Scan(log.directory).records([]))
    assert ["notice" in record["tracehound"] for record in records] == [False, True, False]


def test_garbage_is_passed_over(log: LogMaker) -> None:
    log.exec(7, "/bin/a", at=1)
    path = next(log.directory.iterdir())
    path.write_bytes(path.read_bytes() + b'\xff"pid":7,\n' + b'{"pid":7, "torn')
    assert len(list(Scan(log.directory).records([b'"pid":7']))) == 2


def test_the_end_is_the_time_of_the_last_record(log: LogMaker) -> None:
    assert Scan(log.directory).end == ""
    log.exec(7, "/bin/a", at=5)
    assert Scan(log.directory).end == stamp(5)


def test_a_missing_log_is_told(tmp_path: Path) -> None:
    with pytest.raises(LogUnavailable):
        Scan(tmp_path / "none", None)
