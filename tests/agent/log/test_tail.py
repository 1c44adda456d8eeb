# SPDX-License-Identifier: Apache-2.0
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.log.entry import Corrupt, Cursor, Entry, line_test
from agent.log.segments import SegmentName, list_segments
from agent.log.tail import Chunk, Tail
from agent.log.window import Window

from .conftest import Clock, MakeWriter, event

Follow = Callable[..., Tail]


@pytest.fixture
def corrupt() -> list[Corrupt]:
    return []


@pytest.fixture
def follow(log_dir: Path, corrupt: list[Corrupt]) -> Follow:
    return lambda start=None, window=None: Tail(log_dir, window or Window(), start, corrupt.append)


def sequences(entries: list[Entry]) -> list[int]:
    return [entry.sequence for entry in entries]


def notices(entries: list[Entry]) -> list[dict[str, Any]]:
    return [e.record["tracehound"]["notice"] for e in entries if not e.line]


def remove_oldest(directory: Path) -> None:
    (directory / str(list_segments(directory)[0])).unlink()


def test_what_is_there_comes_and_then_what_is_new(make_writer: MakeWriter, follow: Follow) -> None:
    writer, tail = make_writer(), follow()
    assert sequences(list(tail.entries())) == [1, 2]
    assert list(tail.entries()) == []
    writer.append([event()])
    assert sequences(list(tail.entries())) == [3]


def test_an_empty_place_is_waited_at(make_writer: MakeWriter, follow: Follow) -> None:
    tail = follow()
    assert list(tail.entries()) == []
    make_writer()
    assert sequences(list(tail.entries())) == [1, 2]


def test_rotation_is_followed(make_writer: MakeWriter, follow: Follow, log_dir: Path) -> None:
    writer, tail = make_writer(segment_bytes=2000), follow()
    found = []
    for _ in range(30):
        writer.append([event()] * 3)
        found += list(tail.entries())
    assert sequences(found) == list(range(1, writer.last_sequence + 1))
    assert len(list_segments(log_dir)) > 5


def test_what_is_written_just_before_a_rotation_is_not_missed(
    make_writer: MakeWriter, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, tail = make_writer(segment_bytes=2000), follow()
    is_closed = tail._is_closed

    def write_and_look(name: SegmentName) -> bool:
        monkeypatch.setattr(tail, "_is_closed", is_closed)
        writer.append([event()] * 20)
        writer.append([event()])
        return is_closed(name)

    monkeypatch.setattr(tail, "_is_closed", write_and_look)
    assert sequences(list(tail.entries())) == list(range(1, 25))


def test_every_entry_is_a_place_to_go_on_from(make_writer: MakeWriter, follow: Follow) -> None:
    writer = make_writer(segment_bytes=2000)
    for _ in range(10):
        writer.append([event()] * 3)
    entries = list(follow().entries())
    for i, entry in enumerate(entries):
        rest = list(follow(Cursor.parse(str(entry.cursor))).entries())
        assert sequences(rest) == sequences(entries[i + 1 :])


def test_an_iteration_that_was_left_goes_on_where_it_was(make_writer: MakeWriter, follow: Follow) -> None:
    writer, tail = make_writer(segment_bytes=2000), follow()
    for _ in range(10):
        writer.append([event()] * 3)
    found = []
    for _ in range(writer.last_sequence):
        found.append(next(iter(tail.entries())))
    assert sequences(found) == list(range(1, writer.last_sequence + 1))
    assert tail.cursor == found[-1].cursor


def test_a_closed_tail_opens_its_segment_again(make_writer: MakeWriter, follow: Follow) -> None:
    writer, tail = make_writer(), follow()
    list(tail.entries())
    tail.close()
    writer.append([event()])
    assert sequences(list(tail.entries())) == [3]


def test_the_place_counts_what_was_filtered_out(make_writer: MakeWriter, follow: Follow) -> None:
    writer, tail = make_writer(), follow(window=Window(test=line_test({"process_exit"})))
    writer.append([event()] * 5)
    assert list(tail.entries()) == []
    assert tail.cursor.sequence == 7
    assert list(follow(tail.cursor).entries()) == []


def test_a_segment_that_is_removed_under_the_reader_is_read_to_its_end(
    make_writer: MakeWriter, follow: Follow, log_dir: Path
) -> None:
    writer, tail = make_writer(segment_bytes=2000), follow()
    writer.append([event()] * 20)
    first = next(iter(tail.entries()))
    writer.append([event()])
    remove_oldest(log_dir)
    entries = [first, *tail.entries()]
    assert sequences(entries) == list(range(1, 25)) and notices(entries) == []


def test_a_reader_that_was_overtaken_by_retention_is_told_what_it_missed(
    make_writer: MakeWriter, follow: Follow, log_dir: Path
) -> None:
    writer, tail = make_writer(segment_bytes=2000), follow()
    list(tail.entries())
    for _ in range(5):
        writer.append([event()] * 20)
    names = list_segments(log_dir)
    (log_dir / str(names[1])).unlink()
    (log_dir / str(names[2])).unlink()
    entries = list(tail.entries())
    assert notices(entries) == [
        {
            "cause": "segment_removed",
            "after": str(names[0]),
            "segment": str(names[3]),
            "from_sequence": names[1].first_sequence,
            "to_sequence": names[3].first_sequence - 1,
        }
    ]
    assert entries[-1].sequence == writer.last_sequence


def test_a_cursor_into_a_removed_segment_is_told_what_it_missed(
    make_writer: MakeWriter, follow: Follow, log_dir: Path
) -> None:
    writer, tail = make_writer(segment_bytes=2000), follow()
    cursor = next(iter(tail.entries())).cursor
    for _ in range(3):
        writer.append([event()] * 20)
    remove_oldest(log_dir)
    first_left = list_segments(log_dir)[0].first_sequence
    entries = list(follow(cursor).entries())
    assert [(n["from_sequence"], n["to_sequence"]) for n in notices(entries)] == [(2, first_left - 1)]
    assert sequences(entries)[1:] == list(range(first_left, writer.last_sequence + 1))


def test_a_cursor_at_the_end_of_a_removed_segment_missed_nothing(
    make_writer: MakeWriter, follow: Follow, log_dir: Path
) -> None:
    writer, tail = make_writer(segment_bytes=2000), follow()
    writer.append([event()] * 20)
    cursor = list(tail.entries())[-1].cursor
    writer.append([event()])
    remove_oldest(log_dir)
    assert notices(list(follow(cursor).entries())) == []


def test_after_a_reboot_a_notice_gives_no_wrong_numbers(
    make_writer: MakeWriter, follow: Follow, log_dir: Path
) -> None:
    first, tail = make_writer(), follow()
    list(tail.entries())
    first.close("reboot")
    second = make_writer(boot_id="boot-b", segment_bytes=2000)
    for _ in range(3):
        second.append([event()] * 20)
    (log_dir / str(list_segments(log_dir)[1])).unlink()
    (notice,) = notices(list(tail.entries()))
    assert notice["cause"] == "segment_removed" and "from_sequence" not in notice


def test_a_vanished_directory_is_waited_for(
    make_writer: MakeWriter, clock: Clock, follow: Follow, log_dir: Path
) -> None:
    writer, tail = make_writer(), follow()
    list(tail.entries())
    shutil.rmtree(log_dir)
    assert list(tail.entries()) == []
    clock.pass_(1)
    writer.tick()
    entries = list(tail.entries())
    assert [next(k for k in e.record["tracehound"] if k != "sequence") for e in entries] == [
        "segment",
        "loss",
    ]


def test_a_line_that_is_being_written_is_left_for_later(
    make_writer: MakeWriter, follow: Follow, log_dir: Path, corrupt: list[Corrupt]
) -> None:
    make_writer()
    tail, path = follow(), log_dir / str(list_segments(log_dir)[0])
    head, tail_bytes = event()
    with open(path, "ab", buffering=0) as file:
        file.write(head + b"3")
        assert sequences(list(tail.entries())) == [1, 2]
        file.write(tail_bytes)
    assert sequences(list(tail.entries())) == [3] and corrupt == []


def test_corrupt_lines_are_told_and_passed(
    make_writer: MakeWriter, follow: Follow, log_dir: Path, corrupt: list[Corrupt]
) -> None:
    writer = make_writer()
    path = log_dir / str(list_segments(log_dir)[0])
    size = path.stat().st_size
    with open(path, "ab") as file:
        file.write(b"\0\0\0\ngarbage\n")
    writer.append([event()])
    assert sequences(list(follow().entries())) == [1, 2, 3]
    assert corrupt == [Corrupt(path.name, size, 4), Corrupt(path.name, size + 4, 8)]
    corrupt.clear()
    assert sequences(list(follow(window=Window(test=line_test({"process_exec"}))).entries())) == [3]
    assert len(corrupt) == 2


def test_a_torn_line_at_the_end_of_a_closed_segment_is_told(
    make_writer: MakeWriter, follow: Follow, log_dir: Path, corrupt: list[Corrupt]
) -> None:
    make_writer().close("SIGTERM")
    path = log_dir / str(list_segments(log_dir)[0])
    make_writer()
    with open(path, "ab") as file:
        file.write(b'{"torn')
    assert sequences(list(follow().entries())) == [1, 2, 3, 4, 5]
    assert [c.size for c in corrupt] == [6]


def test_a_cursor_in_the_middle_of_a_line_finds_the_next_one(
    make_writer: MakeWriter, follow: Follow, corrupt: list[Corrupt]
) -> None:
    make_writer().append([event()])
    entries = list(follow().entries())
    damaged = entries[0].cursor._replace(offset=entries[0].offset + 3)
    assert sequences(list(follow(damaged).entries())) == [3]
    assert len(corrupt) == 1


def test_a_segment_whose_head_is_not_written_yet_is_not_entered(
    make_writer: MakeWriter, follow: Follow, log_dir: Path
) -> None:
    make_writer()
    tail = follow()
    list(tail.entries())
    newest = log_dir / "9999999999999-000000000003.jsonl"
    newest.write_bytes(b'{"tracehound":{"seq')
    assert list(tail.entries()) == [] and not tail.ended
    with open(newest, "ab") as file:
        file.write(b'uence":3,"segment":{"boot_id":"boot-a"}}}\n')
    assert [e.sequence for e in tail.entries() if e.line] == [3]


def test_raw_lines_come_with_their_place_and_boot(
    make_writer: MakeWriter, follow: Follow, log_dir: Path
) -> None:
    writer = make_writer(segment_bytes=4096)
    for number in range(60):
        writer.append([event(f"p{number}")])
    tail = follow()
    chunks = [chunk for chunk in tail.chunks() if isinstance(chunk, Chunk)]
    assert b"\n".join(line for chunk in chunks for line in chunk.lines) == b"\n".join(
        line for name in list_segments(log_dir) for line in (log_dir / str(name)).read_bytes().splitlines()
    )
    assert {chunk.boot_id for chunk in chunks} == {"boot-a"}
    assert (tail.cursor.sequence, chunks[0].offset) == (writer.last_sequence, 0)
    assert list(tail.chunks()) == []


def test_raw_reading_tells_what_was_removed(make_writer: MakeWriter, follow: Follow, log_dir: Path) -> None:
    writer = make_writer(segment_bytes=4096)
    tail = follow()
    assert list(tail.chunks())
    for number in range(60):
        writer.append([event(f"p{number}")])
    tail.close()
    remove_oldest(log_dir)
    remove_oldest(log_dir)
    notice = next(chunk for chunk in tail.chunks() if isinstance(chunk, Entry))
    assert notice.record["tracehound"]["notice"]["cause"] == "segment_removed"
