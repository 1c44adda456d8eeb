# SPDX-License-Identifier: Apache-2.0
from agent.log.entry import Cursor
from exporters.lag import events_behind
from tests.exporters.eventlog import EventLog


def test_records_behind_a_place_are_counted_over_segments(event_log: EventLog) -> None:
    first = event_log.path.name
    event_log.execs(10)
    event_log.rotate()
    event_log.execs(5)
    assert events_behind(event_log.directory, Cursor(first, 0, 4)) == event_log.sequence - 4
    assert events_behind(event_log.directory, Cursor(event_log.path.name, 0, event_log.sequence)) == 0
    assert events_behind(event_log.directory, Cursor("", 0, 0)) == event_log.sequence


def test_numbers_begin_again_with_a_boot(event_log: EventLog) -> None:
    first = event_log.path.name
    event_log.execs(9)
    event_log.rotate("boot-b")
    event_log.execs(5)
    assert events_behind(event_log.directory, Cursor(first, 0, 4)) == 6 + 6


def test_a_log_that_is_not_there_holds_nothing(event_log: EventLog) -> None:
    assert events_behind(event_log.directory / "absent", Cursor("", 0, 0)) == 0
