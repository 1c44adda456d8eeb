# SPDX-License-Identifier: Apache-2.0
import pytest

from agent.log.entry import Cursor
from exporters.base import Batching
from exporters.cursor import Place
from exporters.documents import raw_maker
from exporters.gathering import Gatherer, Outcome
from exporters.limits import Bucket
from exporters.selecting import Selecting, check_filter
from exporters.source import Source
from exporters.state import State
from tests.exporters.eventlog import EventLog


def gatherer(event_log: EventLog, chosen: Selecting | None = None, **options: object) -> Gatherer:
    keys: dict[str, object] = {"events": 10, "bytes": 1 << 20, **options}
    bucket, until = keys.pop("bucket", None), keys.pop("until", None)
    place = Place(Cursor("", 0, 0), "")
    source = Source(event_log.directory, place.cursor, pytest.fail)
    make = raw_maker(chosen or Selecting())
    batching = Batching(**keys)  # type: ignore[arg-type]
    return Gatherer(source, make, batching, State("x"), place=place, bucket=bucket, until=until)  # type: ignore[arg-type]


def test_a_batch_is_full_by_number_and_ends_at_a_place_to_go_on_from(event_log: EventLog) -> None:
    event_log.execs(14)
    found = gatherer(event_log)
    assert found.gather() is Outcome.FULL
    first = found.take()
    assert [one.sequence for one in first.documents] == list(range(1, 11))
    assert first.place.cursor.sequence == 10 and first.place.boot_id == "boot-a"
    line = event_log.path.read_bytes()[: first.place.cursor.offset].splitlines()
    assert len(line) == 10
    assert found.gather() is Outcome.DRY and len(found.take().documents) == 5


def test_a_batch_is_full_by_bytes_and_a_larger_document_travels_alone(event_log: EventLog) -> None:
    event_log.execs(4)
    event_log.exec("x" * 5000)
    event_log.execs(2)
    found, sizes = gatherer(event_log, bytes=700), []
    while found.gather() is Outcome.FULL or found.waiting:
        batch = found.take()
        sizes.append(len(batch.documents))
        assert batch.size <= 700 or len(batch.documents) == 1
    assert sum(sizes) == 8 and 1 in sizes


def test_the_place_moves_on_over_what_is_left_out(event_log: EventLog) -> None:
    event_log.execs(50)
    found = gatherer(event_log, check_filter({"types": ["loss"]}))
    assert found.gather() is Outcome.DRY and not found.waiting
    assert found.place.cursor.offset == event_log.path.stat().st_size
    assert found.place.cursor.sequence == 51


def test_a_line_that_is_no_record_is_counted_and_passed(event_log: EventLog) -> None:
    with event_log.path.open("ab") as file:
        file.write(b"garbage\n")
    event_log.exec()
    found = gatherer(event_log)
    found.gather()
    assert [one.sequence for one in found.take().documents] == [1, 2]
    assert found._state.corrupt == 1


def test_reading_ends_exactly_where_it_was_told_to(event_log: EventLog) -> None:
    event_log.execs(20)
    lines = event_log.path.read_bytes().splitlines(keepends=True)
    until = Cursor(event_log.path.name, sum(map(len, lines[:7])), 7)
    found = gatherer(event_log, until=until)
    found.gather()
    assert found.gather() is Outcome.ENDED
    assert [one.sequence for one in found.take().documents] == list(range(1, 8))


def test_what_was_held_back_is_told_per_boot(event_log: EventLog) -> None:
    event_log.execs(3)
    event_log.rotate("boot-b")
    event_log.execs(3)
    found = gatherer(event_log, bucket=Bucket(0.0001, 1))
    while found.gather() is Outcome.FULL:
        pass
    told = [one for one in found.take().documents if one.type == "suppressed"]
    assert [(one.boot_id, one.uid) for one in told] == [
        ("boot-a", "n1/boot-a/4/suppressed"),
        ("boot-b", "n1/boot-b/4/suppressed"),
    ]
