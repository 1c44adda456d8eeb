# SPDX-License-Identifier: Apache-2.0
import hashlib
from pathlib import Path

import pytest

from agent.log.examine import Expected, locate, look
from agent.log.segments import SegmentName, list_segments

from .conftest import MakeWriter
from .test_upkeep import fill


@pytest.fixture
def segment(make_writer: MakeWriter, log_dir: Path) -> SegmentName:
    """One with 201 records and a heartbeat as number 102."""
    writer = make_writer()
    fill(writer, 1)
    writer.record("heartbeat", {"chain": {"manifest": "ab" * 32, **writer.chain_head()}})
    fill(writer, 1)
    return list_segments(log_dir)[0]


def test_one_look_gives_hash_lines_and_heartbeats(segment: SegmentName, log_dir: Path) -> None:
    read: list[int] = []
    seen = look(log_dir, segment, read.append)
    data = (log_dir / str(segment)).read_bytes()
    assert (seen.sha256, seen.bytes) == (hashlib.sha256(data).hexdigest(), len(data))
    assert (seen.lines, seen.torn_bytes, sum(read)) == (203, 0, len(data))
    assert seen.heads == [(103, 103, "ab" * 32)]


def test_a_text_that_looks_like_a_heartbeat_is_none(log_dir: Path, make_writer: MakeWriter) -> None:
    writer = make_writer()
    writer.record("start", {"by": '"chain":{"manifest":"' + "0" * 64})
    assert look(log_dir, list_segments(log_dir)[0], len_of_nothing).heads == []


def len_of_nothing(amount: int) -> None:
    assert amount > 0


def test_lines_that_are_as_they_were_have_no_fault(segment: SegmentName, log_dir: Path) -> None:
    whole = look(log_dir, segment, len_of_nothing)
    assert locate(log_dir, segment, Expected(whole.sha256, 203)) == ([], 203, 203)
    assert locate(log_dir, segment, None).faults == []


def test_what_a_heartbeat_has_proved_is_not_suspected(segment: SegmentName, log_dir: Path) -> None:
    path = log_dir / str(segment)
    data = path.read_bytes()
    at = data.rindex(b"program-50")
    path.write_bytes(data[:at] + b"program-05" + data[at + 10 :])
    [fault] = locate(log_dir, segment, Expected(hashlib.sha256(data).hexdigest(), 203)).faults
    assert (fault.line, fault.sequence, fault.to_line) == (103, 103, 203)


def test_a_segment_without_its_head_is_told(segment: SegmentName, log_dir: Path) -> None:
    path = log_dir / str(segment)
    path.write_bytes(path.read_bytes().replace(b'"segment":{', b'"sogment":{', 1))
    assert locate(log_dir, segment, None).faults[0][1:3] == (1, 1)
