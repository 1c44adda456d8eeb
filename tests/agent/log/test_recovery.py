# SPDX-License-Identifier: Apache-2.0
import random
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.log.records import SegmentFacts, own_line, segment_content
from agent.log.recovery import Recovered, parse_line, read_end, read_head, recover
from agent.log.segments import SegmentName, list_segments

from .conftest import MakeWriter, event, kinds_of, records_of, sequences_of

NAME = SegmentName(1_767_225_600_000, 1)


def segment(boot_id: str, first: int, events: int) -> bytes:
    """A segment's content: its head and so many events."""
    facts = SegmentFacts("n1", boot_id, "", "6.1", "0.1")
    lines = [
        own_line("segment", segment_content(facts, None), "n1", 0),
        *[event(f"b{i}") for i in range(events)],
    ]
    return b"".join(b"%b%d%b" % (head, first + i, tail) for i, (head, tail) in enumerate(lines))


WHOLE = segment("boot-a", 1, 9)


def write(directory: Path, name: SegmentName, content: bytes) -> Path:
    (directory / str(name)).write_bytes(content)
    return directory / str(name)


def test_a_new_log_has_no_past(tmp_path: Path) -> None:
    found = recover(tmp_path, "boot-a")
    assert found == Recovered([], 0, None, 0, 0)
    assert not found.unclean


def test_the_numbers_go_on_in_the_same_boot(tmp_path: Path) -> None:
    write(tmp_path, NAME, WHOLE)
    found = recover(tmp_path, "boot-a")
    assert (found.last_sequence, found.last_record_sequence, found.torn_bytes) == (10, 10, 0)
    assert found.unclean


def test_the_numbers_begin_again_in_another_boot(tmp_path: Path) -> None:
    write(tmp_path, NAME, WHOLE)
    found = recover(tmp_path, "boot-b")
    assert (found.last_sequence, found.last_record_sequence) == (0, 10)


def test_a_damaged_head_does_not_lead_to_numbers_used_twice(tmp_path: Path) -> None:
    write(tmp_path, NAME, b"garbage\n" + WHOLE[WHOLE.index(b"\n") + 1 :])
    assert recover(tmp_path, "boot-b").last_sequence == 10


@pytest.mark.parametrize("garbage", [b"{", b"\0" * 5000, b"garbage\n\0\n", b'{"a":1}\n', b"[1]\n", b"\xff\n"])
def test_what_is_not_a_record_at_the_end_is_cut_off(tmp_path: Path, garbage: bytes) -> None:
    path = write(tmp_path, NAME, WHOLE + garbage)
    found = recover(tmp_path, "boot-a")
    assert (found.torn_bytes, found.last_sequence) == (len(garbage), 10)
    assert path.read_bytes() == WHOLE


def test_garbage_in_the_middle_is_left_alone(tmp_path: Path) -> None:
    content = WHOLE + b"garbage\n" + segment("boot-a", 11, 1)
    path = write(tmp_path, NAME, content)
    assert recover(tmp_path, "boot-a").torn_bytes == 0
    assert path.read_bytes() == content


def test_a_segment_without_a_whole_line_makes_way_for_the_one_before(tmp_path: Path) -> None:
    write(tmp_path, NAME, WHOLE)
    empty = write(tmp_path, SegmentName(NAME.created_ms + 1, 11), b'{"tracehound":{"sequ')
    found = recover(tmp_path, "boot-a")
    assert (found.segments, found.last_sequence, found.torn_bytes) == ([NAME], 10, 20)
    assert not empty.exists()


def test_a_segment_that_was_never_published_is_removed(tmp_path: Path) -> None:
    write(tmp_path, NAME, WHOLE)
    left = tmp_path / f"{NAME}.new"
    left.touch()
    assert recover(tmp_path, "boot-a").segments == [NAME]
    assert not left.exists()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(cut=st.integers(0, len(WHOLE)), garbage=st.binary(max_size=40))
def test_wherever_a_log_is_cut_all_whole_lines_before_it_stay(
    cut: int, garbage: bytes, tmp_path: Path
) -> None:
    garbage = garbage.replace(b"\n", b"")
    path = write(tmp_path, NAME, WHOLE[:cut] + garbage)
    kept = WHOLE[: WHOLE.rfind(b"\n", 0, cut) + 1]
    found = recover(tmp_path, "boot-a")
    assert (path.read_bytes() if path.exists() else b"") == kept
    assert found.last_sequence == kept.count(b"\n")
    assert found.torn_bytes == cut - len(kept) + len(garbage)


def test_head_and_end_of_a_segment_are_read_without_the_rest(tmp_path: Path) -> None:
    path = write(tmp_path, NAME, WHOLE)
    head = read_head(path)
    assert head is not None and head["tracehound"]["segment"]["boot_id"] == "boot-a"
    assert read_end(path).sequence == 10
    assert parse_line(WHOLE.splitlines()[0]) is None  # no newline: not whole


def test_the_next_run_tells_of_an_unclean_end(make_writer: MakeWriter, log_dir: Path) -> None:
    first = make_writer()
    first.append([event()] * 3)
    first._chain.close()  # killed: nothing else is written
    with open(log_dir / str(list_segments(log_dir)[-1]), "ab") as file:
        file.write(b'{"process_exec":{"pro')
    make_writer()
    told = next(r["tracehound"] for r in records_of(log_dir) if "unclean_shutdown" in r["tracehound"])
    assert told["unclean_shutdown"] == {
        "last_sequence": 5,
        "last_time": "2026-01-01T00:00:00.5Z",
        "torn_bytes": 21,
        "same_boot": True,
        "window_seconds": 1.0,
    }
    assert sequences_of(log_dir) == list(range(1, 9))
    assert kinds_of(log_dir)[-3:] == ["segment", "unclean_shutdown", "start"]


WRITE_UNTIL_KILLED = """
import os, sys
from agent.log.records import SegmentFacts
from agent.log.writer import LogWriter
from agent.settings import LogSettings
settings = LogSettings(dir=sys.argv[1], group="", segment_bytes=1 << 20, retention_bytes=1 << 40,
                       fsync_seconds=float(sys.argv[2]))
writer = LogWriter(settings, SegmentFacts("n1", "boot-a", "", "6.1", "0.1"))
writer.open()
head = b'{"process_exec":{"process":{"arguments":"%b"}},"tracehound":{"sequence":' % (b"x" * 800)
batch = [(head, b'}}\\n')] * 512
while True:
    writer.append(batch)
    if writer._settings.fsync_seconds == 0:
        os.write(1, b"%d\\n" % writer.last_sequence)
    else:
        os.write(1, b"-1\\n")
    writer.tick()
"""


def run_and_kill(directory: Path, fsync_seconds: float, batches: int, delay_s: float) -> int:
    """A writer that is killed -9 in the middle; returns the last number that it forced to disk."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITE_UNTIL_KILLED, directory, str(fsync_seconds)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        for _ in range(batches):
            process.stdout.readline()
        try:
            process.wait(delay_s)
        except subprocess.TimeoutExpired:
            process.kill()
        synced = process.stdout.read().split()
    return int(synced[-1]) if synced else 0


@pytest.mark.parametrize("fsync_seconds", [0, 0.01])
def test_kill_9_at_any_moment_loses_nothing_that_was_synced(tmp_path: Path, fsync_seconds: float) -> None:
    chance = random.Random(7)
    last = 0
    for _ in range(15):
        synced = run_and_kill(tmp_path, fsync_seconds, chance.randint(1, 6), chance.random() * 0.02)
        found = recover(tmp_path, "boot-a")
        assert found.last_sequence >= max(synced, last + 1)
        last = found.last_sequence
    assert sequences_of(tmp_path) == list(range(1, last + 1))
    names = list_segments(tmp_path)
    assert len(names) > 15 and all(a < b for a, b in pairwise(names))


def test_kill_9_leaves_torn_lines_at_the_very_end_only(tmp_path: Path) -> None:
    chance = random.Random(9)
    for _ in range(15):
        run_and_kill(tmp_path, -1, chance.randint(1, 3), chance.random() * 0.02)
        for name in list_segments(tmp_path)[:-1]:
            lines = (tmp_path / str(name)).read_bytes().splitlines(keepends=True)
            assert all("tracehound" in orjson.loads(line) for line in lines)


def test_another_boot_is_told_from_a_killed_agent(make_writer: MakeWriter, log_dir: Path) -> None:
    make_writer().append([event()])
    assert recover(log_dir, "boot-a").same_boot and not recover(log_dir, "boot-b").same_boot
