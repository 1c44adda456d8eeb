# SPDX-License-Identifier: Apache-2.0
from agent.log.retention import ClosedSegment, Removal, expired
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
    return [reason for _, reason in expired(segments, total, now_ms, settings)]


def test_nothing_goes_while_there_is_room_and_time() -> None:
    settings = LogSettings(retention_bytes=500, retention_seconds=24 * 3600)
    assert removed(closed(4), 500, 4 * HOUR_MS, settings) == []


def test_the_oldest_go_until_the_rest_fits() -> None:
    settings = LogSettings(retention_bytes=250, retention_seconds=24 * 3600)
    doomed = list(expired(closed(4), 450, 4 * HOUR_MS, settings))
    assert [(segment.name.created_ms, reason) for segment, reason in doomed] == [
        (0, "size"),
        (HOUR_MS, "size"),
    ]


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
