# SPDX-License-Identifier: Apache-2.0
import os
import subprocess
import sys
import threading
import time
from itertools import islice
from pathlib import Path

import pytest

from agent.errors import LogUnavailable
from agent.log.entry import Cursor, Entry
from agent.log.reader import LogReader
from agent.log.segments import list_segments
from agent.log.times import SECOND_NS, format_time
from agent.log.writer import LogWriter
from agent.settings import LogSettings

from .conftest import FACTS, Clock, MakeWriter, event


def sequences(entries: list[Entry]) -> list[int]:
    return [entry.sequence for entry in entries]


@pytest.fixture
def hours(make_writer: MakeWriter, clock: Clock) -> list[int]:
    """A log with one segment and ten events an hour; the wall time of each event's hour, in ns."""
    writer, times = make_writer(segment_seconds=3600), []
    for _ in range(5):
        times.append(clock.wall)
        writer.append([event(time=format_time(clock.wall + i)) for i in range(10)])
        clock.pass_(3600)
        writer.tick()
    return times


def test_the_whole_log_is_read_in_order(make_writer: MakeWriter, log_dir: Path) -> None:
    writer = make_writer(segment_bytes=2000)
    for _ in range(10):
        writer.append([event()] * 5)
    entries = list(LogReader(log_dir).read())
    assert sequences(entries) == list(range(1, writer.last_sequence + 1))
    assert entries[2].line == b"%b3%b" % (event()[0], event()[1][:-1])


def test_only_the_wanted_types_come(make_writer: MakeWriter, log_dir: Path) -> None:
    make_writer().append([event(), event(kind="process_exit")])
    reader = LogReader(log_dir)
    assert sequences(list(reader.read(types={"process_exit", "start"}))) == [2, 4]
    assert sequences(reader.last(9, types={"process_exec"})) == [3]


def test_times_choose_records(hours: list[int], log_dir: Path) -> None:
    reader = LogReader(log_dir)
    entries = list(reader.read(since_ns=hours[2] + 3, until_ns=hours[3] + 4, types={"process_exec"}))
    assert len(entries) == 7 + 5
    assert entries[0].record["time"] == format_time(hours[2] + 3)
    assert entries[-1].record["time"] == format_time(hours[3] + 4)


def test_segments_outside_the_times_are_not_opened(
    hours: list[int], log_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, real = [], os.open

    def note(path: Path, flags: int, mode: int = 0o777) -> int:
        opened.append(Path(path).name)
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", note)
    list(LogReader(log_dir).read(since_ns=hours[2], until_ns=hours[2] + SECOND_NS))
    names = [str(name) for name in list_segments(log_dir)]
    assert set(opened) == set(names[1:4])  # the one before may end late; of the one after only the head


def test_the_last_records_are_read_from_the_end(make_writer: MakeWriter, log_dir: Path) -> None:
    writer = make_writer(segment_bytes=2000)
    for _ in range(10):
        writer.append([event()] * 5)
    reader, everything = LogReader(log_dir), list(LogReader(log_dir).read())
    for count in (0, 1, 7, 30, 1000):
        assert reader.last(count) == everything[len(everything) - count :] if count < 60 else everything
    assert reader.last(5, before=everything[20].cursor) == everything[16:21]


def test_reading_on_from_the_end_brings_only_what_is_new(make_writer: MakeWriter, log_dir: Path) -> None:
    writer, reader = make_writer(), LogReader(log_dir)
    end = reader.end()
    assert end.sequence == 2
    writer.append([event()])
    assert sequences(list(reader.read(end))) == [3]


def test_an_empty_log_has_nothing_and_an_end(tmp_path: Path) -> None:
    reader = LogReader(tmp_path)
    assert (list(reader.read()), reader.last(5), reader.end()) == ([], [], Cursor("", 0, 0))


def test_a_line_that_is_being_written_is_not_the_end(make_writer: MakeWriter, log_dir: Path) -> None:
    make_writer()
    with open(log_dir / str(list_segments(log_dir)[0]), "ab") as file:
        file.write(b'{"process_exec"')
    reader = LogReader(log_dir)
    assert reader.end().sequence == 2 and sequences(reader.last(1)) == [2]


def test_corrupt_lines_are_counted_and_passed(make_writer: MakeWriter, log_dir: Path) -> None:
    writer, seen = make_writer(), []
    with open(log_dir / str(list_segments(log_dir)[0]), "ab") as file:
        file.write(b"garbage\n")
    writer.append([event()])
    reader = LogReader(log_dir, on_corrupt=seen.append)
    assert sequences(list(reader.read())) == [1, 2, 3] == sequences(reader.last(3))
    assert reader.corrupt == 2 and seen[0] == seen[1]


def test_a_missing_log_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(LogUnavailable, match="No such file") as caught:
        LogReader(tmp_path / "nowhere").read(follow=True)
    assert "log.dir" in caught.value.hint


def test_who_may_not_read_is_told_which_group_may(unprivileged: Path) -> None:
    unprivileged.chmod(0)
    with pytest.raises(LogUnavailable, match="Permission denied") as caught:
        LogReader(unprivileged).last(1)
    assert "not a member of group" in caught.value.hint


def test_a_segment_that_may_not_be_read_is_refused_too(unprivileged: Path) -> None:
    (unprivileged / "1767225600000-000000000001.jsonl").touch(mode=0)
    for attempt in (lambda r: list(r.read()), lambda r: r.last(1), lambda r: r.end()):
        with pytest.raises(LogUnavailable, match="Permission denied"):
            attempt(LogReader(unprivileged))


def write_much(directory: Path, rounds: int, segment_bytes: int = 20_000) -> None:
    settings = LogSettings(dir=str(directory), group="", segment_bytes=segment_bytes)
    writer = LogWriter(settings, FACTS)
    writer.open()
    for _ in range(rounds):
        writer.append([event("x" * 600)] * 50)
        writer.tick()
    writer.close("done")


def test_a_follower_sees_every_record_through_rotations(tmp_path: Path) -> None:
    thread = threading.Thread(target=write_much, args=(tmp_path, 200))
    thread.start()
    found = []
    for entry in LogReader(tmp_path).read(follow=True, poll_seconds=0.001):
        found.append(entry.sequence)
        if "stop" in entry.record["tracehound"]:
            break
    thread.join()
    assert found == list(range(1, len(found) + 1)) and len(found) > 10_000
    assert len(list_segments(tmp_path)) > 50


FOLLOW = """
import sys
from agent.log.reader import LogReader
sequence = missed = 0
for entry in LogReader(sys.argv[1]).read(follow=True, poll_seconds=0.001):
    own = entry.record["tracehound"]
    if "notice" in own:
        missed += own["notice"]["to_sequence"] - own["notice"]["from_sequence"] + 1
        continue
    assert sequence == 0 or entry.sequence == sequence + missed + 1, (sequence, missed, entry)
    sequence, missed = entry.sequence, 0
    if "stop" in own:
        print("stop", flush=True)
        break
    if sequence == 1:
        print("follows", flush=True)
"""


def test_a_follower_in_another_process_accounts_for_what_retention_took(tmp_path: Path) -> None:
    settings = LogSettings(dir=str(tmp_path), group="", segment_bytes=50_000, retention_bytes=100_000)
    writer = LogWriter(settings, FACTS)
    writer.open()
    with subprocess.Popen(
        [sys.executable, "-c", FOLLOW, tmp_path], stdout=subprocess.PIPE, text=True
    ) as follower:
        assert follower.stdout is not None and follower.stdout.readline() == "follows\n"
        for _ in range(1000):
            writer.append([event()] * 100)
            writer.tick()
        writer.close("done")
        assert follower.stdout.readline() == "stop\n"


def test_a_follower_ends_when_its_time_is_over(make_writer: MakeWriter, log_dir: Path) -> None:
    make_writer()
    assert sequences(list(LogReader(log_dir).read(follow=True, until_ns=2 * 10**18 - 10**18))) == []


def test_memory_is_bounded_by_the_reader_not_by_the_log(tmp_path: Path) -> None:
    write_much(tmp_path, 2)
    entries = LogReader(tmp_path).read()
    assert sequences(list(islice(entries, 3))) == [1, 2, 3]  # nothing has to be read before the first comes


@pytest.mark.bench
def test_cost_of_reading(tmp_path: Path) -> None:
    write_much(tmp_path, 2000, segment_bytes=1 << 22)
    for name, types in (("all", None), ("filtered out", {"process_exit"})):
        begin = time.perf_counter_ns()
        count = sum(1 for _ in LogReader(tmp_path).read(types=types))
        cost = (time.perf_counter_ns() - begin) / 100_000
        print(f"\nread, {name}: {cost:.0f} ns per line ({count} records)")
        assert (count > 100_000) == (types is None)
