# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from agent.log.entry import Cursor
from agent.log.reader import LogReader
from exporters.cursor import CursorFile, Place, is_beyond, place_at
from tests.exporters.eventlog import START_NS, EventLog

PLACE = Place(Cursor("1767225600000-000000000001.jsonl", 100, 7), "boot-a")


def test_a_saved_place_is_found_again(tmp_path: Path) -> None:
    assert CursorFile(tmp_path / "cursor").load() == (None, "")
    CursorFile(tmp_path / "cursor").save(PLACE)
    assert CursorFile(tmp_path / "cursor").load() == (PLACE, "")
    assert (tmp_path / "cursor").read_text().splitlines()[0] == str(PLACE.cursor)
    assert (tmp_path / "cursor").stat().st_mode & 0o777 == 0o600


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "cursor").write_bytes(b"\x00\xff\x00")
    place, problem = CursorFile(tmp_path / "cursor").load()
    assert place is None and "cursor" in problem


def test_a_file_that_became_huge_is_not_read_whole_nor_told_whole(tmp_path: Path) -> None:
    (tmp_path / "cursor").write_bytes(b"9" * (4 << 20))
    place, problem = CursorFile(tmp_path / "cursor").load()
    assert place is None and 0 < len(problem) < 500


def test_a_place_behind_the_end_of_the_log_is_known(event_log: EventLog, tmp_path: Path) -> None:
    event_log.execs(3)
    end = LogReader(event_log.directory).end()
    assert not is_beyond(event_log.directory, end)
    assert is_beyond(event_log.directory, end._replace(offset=end.offset + 1))
    assert is_beyond(event_log.directory, end._replace(segment="9999999999999-000000000900.jsonl"))
    event_log.rotate()
    assert not is_beyond(event_log.directory, end._replace(offset=end.offset + 1))  # another one follows
    assert not is_beyond(tmp_path / "none", end)


def test_the_file_is_forced_to_disk_once_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr("os.fsync", synced.append)
    now = [10.0]
    file = CursorFile(tmp_path / "cursor", lambda: now[0])
    for sequence in range(5):
        file.save(PLACE._replace(cursor=PLACE.cursor._replace(sequence=sequence)))
    now[0] = 11.0
    file.save(PLACE)
    assert len(synced) == 2


def test_a_time_is_a_place_before_the_first_later_record(event_log: EventLog) -> None:
    event_log.execs(10)
    cursor = place_at(LogReader(event_log.directory), START_NS + 5 * 10**6)
    first = next(LogReader(event_log.directory).read(cursor))
    assert (cursor.sequence, first.sequence) == (5, 6)
    assert place_at(LogReader(event_log.directory), START_NS + 10**12) == LogReader(event_log.directory).end()
