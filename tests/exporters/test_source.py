# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from agent.log.entry import Cursor, Entry, sequence_in
from agent.log.tail import Chunk
from exporters.source import Source, machine_id
from tests.exporters.eventlog import EventLog


def read(source: Source) -> list[int | str]:
    """Sequence numbers, and the causes of notices."""
    found: list[int | str] = []
    for item in source.chunks():
        if isinstance(item, Chunk):
            found += map(sequence_in, item.lines)
        else:
            told = item.record["tracehound"]["notice"]
            found.append(f"{told['cause']} {told.get('from_sequence')}-{told.get('to_sequence')}")
    return found


def compact(path: Path) -> None:
    """As the compactor does it: the lines become Parquet, byte for byte."""
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    from agent.log.segments import SegmentName
    from agent.store import parquet
    from agent.store.layout import parquet_path
    from agent.store.reading import SegmentReading

    name = SegmentName.parse(path.name)
    assert name is not None
    target = parquet_path(path.parent, name)
    target.parent.mkdir(exist_ok=True)
    reading = SegmentReading(path)
    parquet.write(target, reading.tables(), reading.metadata)
    path.unlink()


def test_everything_comes_and_then_what_is_new(event_log: EventLog) -> None:
    event_log.execs(3)
    source = Source(event_log.directory, Cursor("", 0, 0), pytest.fail)
    assert read(source) == [1, 2, 3, 4]
    event_log.rotate()
    assert read(source) == [5]


def test_what_was_removed_is_told(event_log: EventLog) -> None:
    first = event_log.path
    event_log.execs(3)
    second = event_log.rotate()
    event_log.execs(2)
    event_log.rotate()
    second.unlink()
    first_end = Cursor(first.name, first.stat().st_size, 4)
    assert read(Source(event_log.directory, first_end, pytest.fail)) == ["segment_removed 5-7", 8]


def test_compacted_segments_are_read_back_from_the_middle_on(event_log: EventLog) -> None:
    first = event_log.path
    event_log.execs(5)
    lines = first.read_bytes().splitlines(keepends=True)
    second = event_log.rotate()
    event_log.execs(2)
    event_log.rotate()
    compact(first)
    compact(second)
    place = Cursor(first.name, sum(map(len, lines[:3])), 3)
    assert read(Source(event_log.directory, place, pytest.fail)) == list(range(4, 11))
    assert read(Source(event_log.directory, Cursor("", 0, 0), pytest.fail)) == list(range(1, 11))


def test_what_is_compacted_while_the_beginning_is_read_comes_all_the_same(event_log: EventLog) -> None:
    paths = [event_log.path]
    for _ in range(3):
        event_log.execs(2)
        paths.append(event_log.rotate())
    compact(paths[0])
    items = Source(event_log.directory, Cursor("", 0, 0), pytest.fail).chunks()
    chunks = [next(items)]
    compact(paths[1])
    compact(paths[2])
    chunks += items
    lines = [line for chunk in chunks if isinstance(chunk, Chunk) for line in chunk.lines]
    assert list(map(sequence_in, lines)) == list(range(1, 11))


def test_a_log_of_compacted_segments_alone_is_read_and_gone_on_from(event_log: EventLog) -> None:
    first = event_log.path
    event_log.execs(2)
    second = event_log.rotate()
    compact(first)
    compact(second)
    source = Source(event_log.directory, Cursor("", 0, 0), pytest.fail)
    assert read(source) == [1, 2, 3, 4]
    event_log.rotate()
    assert read(source) == [5]


def test_a_gap_between_compacted_segments_is_told(event_log: EventLog) -> None:
    paths = [event_log.path]
    for _ in range(3):
        event_log.execs(2)
        paths.append(event_log.rotate())
    compact(paths[0])
    paths[1].unlink()
    compact(paths[2])
    place = Cursor(paths[0].name, 0, 0)
    assert read(Source(event_log.directory, place, pytest.fail)) == [
        1,
        2,
        3,
        "segment_removed 4-6",
        7,
        8,
        9,
        10,
    ]


def test_parquet_that_cannot_be_read_is_a_gap_and_told(event_log: EventLog) -> None:
    first = event_log.path
    event_log.execs(2)
    event_log.rotate()
    first.unlink()
    (event_log.directory / "store").mkdir()
    (event_log.directory / "store" / (first.stem + ".parquet")).write_bytes(b"garbage")
    problems: list[str] = []
    assert read(Source(event_log.directory, Cursor(first.name, 0, 0), problems.append)) == [
        "segment_removed 1-3",
        4,
    ]
    assert "cannot be read back" in problems[0]


def test_a_notice_has_no_line(event_log: EventLog) -> None:
    place = Cursor("1767225500000-000000000001.jsonl", 0, 0)
    event_log.execs(1)
    first = next(iter(Source(event_log.directory, place, pytest.fail).chunks()))
    assert isinstance(first, Entry) and first.line == b""


def test_the_machine_is_that_of_the_newest_segment_that_tells(event_log: EventLog) -> None:
    assert machine_id(event_log.directory) == ""
    event_log.rotate()
    event_log.path.write_bytes(
        event_log.path.read_bytes().replace(b'"boot_id"', b'"machine_id":"ab12","boot_id"')
    )
    assert machine_id(event_log.directory) == "ab12" and machine_id(event_log.directory / "none") == ""
