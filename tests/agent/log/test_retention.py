# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

from agent.log.entry import Cursor
from agent.log.retention import ClosedSegment, Follower, Removal, expired, hard_bytes, superfluous
from agent.log.segments import SegmentName
from agent.settings import LogSettings

HOUR_MS = 3_600_000


def closed(count: int, size: int = 100) -> list[ClosedSegment]:
    """Segments that were closed one, two, … hours after the beginning."""
    return [
        ClosedSegment(SegmentName(i * HOUR_MS, i * 10 + 1), size, (i + 1) * HOUR_MS, i * 10 + 10)
        for i in range(count)
    ]


def removed(segments: list[ClosedSegment], total: int, now_ms: int, settings: LogSettings) -> list[str]:
    return [doomed.reason for doomed in expired(segments, total, now_ms, settings)]


def test_nothing_goes_while_there_is_room_and_time() -> None:
    settings = LogSettings(retention_bytes=500, retention_seconds=24 * 3600)
    assert removed(closed(4), 500, 4 * HOUR_MS, settings) == []


def test_the_oldest_go_until_the_rest_fits() -> None:
    settings = LogSettings(retention_bytes=250, retention_seconds=24 * 3600)
    doomed = list(expired(closed(4), 450, 4 * HOUR_MS, settings))
    assert [(one.segment.name.created_ms, one.reason) for one in doomed] == [
        (0, "size"),
        (HOUR_MS, "size"),
    ]


def test_what_is_going_to_shrink_counts_with_what_it_will_take() -> None:
    settings = LogSettings(retention_bytes=250, hard_bytes=10_000)
    flood = [*closed(2, 20), *(one._replace(settles_at=80) for one in closed(5, 1000)[2:])]
    assert list(expired(flood, 3040, HOUR_MS, settings, (), 280)) == [
        (flood[0], "size", {}),
        (flood[1], "size", {}),
    ]
    assert list(expired(flood, 3040, HOUR_MS, settings, (), 240)) == []


def test_what_lies_on_the_disk_never_exceeds_the_hard_limit() -> None:
    settings = LogSettings(retention_bytes=250, hard_bytes=2500)
    flood = [one._replace(settles_at=50) for one in closed(4, 1000)]
    assert [one.reason for one in expired(flood, 4000, HOUR_MS, settings, (), 200)] == ["hard_size"] * 2


def test_segments_that_were_closed_too_long_ago_go() -> None:
    settings = LogSettings(retention_bytes=10**6, retention_seconds=2 * 3600)
    assert removed(closed(4), 400, 4 * HOUR_MS + 1, settings) == ["age", "age"]


def test_closed_segments_go_even_when_the_open_one_is_too_large_alone() -> None:
    settings = LogSettings(retention_bytes=250)
    assert removed(closed(2), 10_000, HOUR_MS, settings) == ["size", "size"]


def test_a_removal_is_told_with_its_numbers() -> None:
    assert Removal("a.jsonl", 1, 10, 100, "age").content() == {
        "removed": "a.jsonl",
        "first_sequence": 1,
        "last_sequence": 10,
        "bytes": 100,
        "reason": "age",
    }


# Exporters

SIZES = LogSettings(retention_bytes=250, hard_bytes=350, retention_seconds=24 * 3600)


def at(segment: ClosedSegment, sequence: int, required: bool = True) -> Follower:
    """An exporter that has read up to a line of a segment."""
    return Follower("siem", required, Cursor(str(segment.name), 0, sequence))


def test_the_hard_limit_is_twice_the_soft_one_where_none_is_set() -> None:
    assert hard_bytes(SIZES) == 350 and hard_bytes(replace(SIZES, hard_bytes=None)) == 500


def test_what_a_required_exporter_has_not_read_stays_up_to_the_hard_limit() -> None:
    segments = closed(4)
    doomed = list(expired(segments, 450, 4 * HOUR_MS, SIZES, [at(segments[0], 4)]))
    assert [(one.reason, one.unread_by) for one in doomed] == [("hard_size", {"siem": 6})]


def test_what_it_has_read_goes_as_ever() -> None:
    segments = closed(4)
    doomed = expired(segments, 450, 4 * HOUR_MS, SIZES, [at(segments[1], 20)])
    assert [(one.reason, one.unread_by) for one in doomed] == [("size", {}), ("size", {})]


def test_an_exporter_that_is_not_required_holds_nothing() -> None:
    segments = closed(4)
    doomed = expired(segments, 450, 4 * HOUR_MS, SIZES, [at(segments[0], 4, required=False)])
    assert [one.reason for one in doomed] == ["size", "size"]


def test_age_counts_for_more_than_any_exporter() -> None:
    segments, settings = closed(4), replace(SIZES, retention_seconds=3 * 3600)
    doomed = expired(segments, 100, 4 * HOUR_MS + 1, settings, [Follower("siem", True, None)])
    assert [(one.reason, one.unread_by) for one in doomed] == [("age", {"siem": 10})]


def test_a_removal_tells_what_was_unread() -> None:
    assert Removal("a.jsonl", 1, 10, 100, "age", {"siem": 6}).content()["unread_by"] == {"siem": 6}


def compacted(count: int) -> list[ClosedSegment]:
    return [segment._replace(parquet_bytes=10) for segment in closed(count)]


def test_lines_of_compacted_segments_go_when_every_exporter_has_read_them() -> None:
    segments = compacted(3)
    follower = at(segments[1], 20, required=False)
    assert list(superfluous(segments, 240, SIZES, [follower])) == segments[:2]


def test_without_exporters_the_lines_of_compacted_segments_go_at_once() -> None:
    assert list(superfluous([*closed(1), *compacted(1)], 0, SIZES)) == compacted(1)


def test_unread_lines_go_when_there_is_no_room_for_them() -> None:
    segments = compacted(3)
    optional, required = at(segments[0], 1, required=False), at(segments[0], 1)
    assert list(superfluous(segments, 330, SIZES, [optional])) == segments[:1]
    assert list(superfluous(segments, 330, SIZES, [required])) == []
    assert list(superfluous(segments, 360, SIZES, [required])) == segments[:1]
