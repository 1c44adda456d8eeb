# SPDX-License-Identifier: Apache-2.0
from typing import Any

import pytest

from agent.log.segments import SegmentName
from agent.log.times import SECOND_NS, format_time
from agent.log.window import LATE_NS, Window

HOUR_NS = 3600 * SECOND_NS
NAMES = [SegmentName(hour * 3_600_000, hour + 1) for hour in range(4)]


def at(time_ns: int) -> dict[str, Any]:
    return {"time": format_time(time_ns)}


def test_both_ends_are_included() -> None:
    window = Window(since_ns=10, until_ns=20)
    assert [time for time in (9, 10, 20, 21) if window.holds(at(time))] == [10, 20]


@pytest.mark.parametrize("record", [{}, {"time": "yesterday"}, {"time": 5}])
def test_a_record_without_a_time_is_not_kept_back(record: dict[str, Any]) -> None:
    assert Window(since_ns=10, until_ns=20).holds(record)


def test_segments_that_ended_before_are_skipped() -> None:
    assert Window(since_ns=2 * HOUR_NS + HOUR_NS // 2).wanted(NAMES) == NAMES[2:]
    assert Window(since_ns=99 * HOUR_NS).wanted(NAMES) == NAMES[3:]
    assert Window(since_ns=0).wanted(NAMES) == NAMES
    assert Window().wanted(NAMES) == NAMES
    assert Window(since_ns=5).wanted([]) == []


def test_a_segment_is_past_only_when_late_records_are_excluded_too() -> None:
    window = Window(until_ns=HOUR_NS)
    assert not window.is_past(NAMES[1], at(HOUR_NS + LATE_NS))
    assert window.is_past(NAMES[2], at(2 * HOUR_NS))


def test_after_the_clock_was_set_back_the_name_alone_decides_nothing() -> None:
    assert not Window(until_ns=HOUR_NS).is_past(NAMES[3], at(HOUR_NS - 1))
    assert Window(until_ns=HOUR_NS).is_past(NAMES[3], None)


def test_without_an_end_nothing_is_past() -> None:
    assert not Window(since_ns=5).is_past(NAMES[3], at(3 * HOUR_NS))
