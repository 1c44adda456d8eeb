# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

from exporters.control import Replay
from exporters.replaying import bounds, done, is_due
from tests.exporters.eventlog import START_NS, EventLog


def test_a_request_is_carried_out_once(tmp_path: Path) -> None:
    request = Replay("a", 1)
    assert is_due(request, tmp_path) and not is_due(None, tmp_path)
    done(request, tmp_path)
    assert not is_due(request, tmp_path) and is_due(Replay("b", 1), tmp_path)


def test_both_ends_are_places_in_the_log(event_log: EventLog) -> None:
    event_log.execs(9)
    begin, end = bounds(event_log.directory, Replay("a", START_NS + 3 * 10**6, START_NS + 5 * 10**6))
    assert end is not None and (begin.cursor.sequence, end.sequence) == (3, 6)


def test_what_was_compacted_begins_with_its_segment(event_log: EventLog) -> None:
    first = event_log.path
    event_log.execs(9)
    event_log.rotate()
    (event_log.directory / "store").mkdir()
    first.rename(event_log.directory / "store" / f"{first.stem}.parquet")
    begin, _ = bounds(event_log.directory, Replay("a", START_NS + 5 * 10**6))
    assert begin.cursor == (first.name, 0, 0)
