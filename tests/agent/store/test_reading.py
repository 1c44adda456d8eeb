# SPDX-License-Identifier: Apache-2.0
import hashlib
from pathlib import Path

from agent.log.segments import list_segments
from agent.store.reading import SegmentReading
from tests.agent.cli.conftest import START_NS, LogMaker


def first(log: LogMaker) -> Path:
    return log.directory / str(list_segments(log.directory)[0])


def test_one_reading_tells_hash_numbers_and_times(lines: LogMaker) -> None:
    reading = SegmentReading(first(lines))
    assert sum(len(table) for table in reading.tables()) == reading.rows == 7
    assert reading.sha256 == hashlib.sha256(first(lines).read_bytes()).hexdigest()
    assert (reading.first_sequence, reading.last_sequence) == (1, 7)
    assert (reading.first_ns, reading.last_ns) == (START_NS, START_NS + 4 * 10**9)


def test_it_tells_of_processes_and_of_the_log(lines: LogMaker) -> None:
    reading = SegmentReading(first(lines))
    list(reading.tables())
    assert {life.pid for life in reading.lives if life.recorded} == {1, 50, 51}
    assert [kind for _, _, kind, _ in reading.notes] == ["segment", "loss"]


def test_a_line_that_is_being_written_can_be_left_out(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(b'{"a":1}\n{"b":')
    reading = SegmentReading(tmp_path / "s", whole_lines=True)
    assert sum(len(table) for table in reading.tables()) == 1
