# SPDX-License-Identifier: Apache-2.0
import os
from pathlib import Path

import pytest

from agent.log.segments import SegmentName, first_to_read_back, list_segments, next_name


def test_a_name_tells_when_it_began_and_with_which_number() -> None:
    name = SegmentName(1_767_225_600_000, 42)
    assert str(name) == "1767225600000-000000000042.jsonl"
    assert SegmentName.parse(str(name)) == name


@pytest.mark.parametrize(
    "name", ["lock", "status.json", "1-2.jsonl", "1767225600000-000000000042.jsonl.gz", "٣" * 13 + "-1.jsonl"]
)
def test_other_files_are_not_segments(name: str) -> None:
    assert SegmentName.parse(name) is None


def test_segments_are_listed_in_order_of_time(tmp_path: Path) -> None:
    names = [SegmentName(1_767_225_600_000 + i, 1000 - i) for i in range(5)]
    for name in [*reversed(names), "lock", "status.json"]:
        (tmp_path / str(name)).touch()
    assert list_segments(tmp_path) == names


def test_what_is_no_file_is_no_segment(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / str(SegmentName(1_767_225_600_000, 1)))
    (tmp_path / str(SegmentName(1_767_225_600_001, 2))).mkdir()
    assert list_segments(tmp_path) == []


def test_a_clock_that_was_set_back_does_not_lead_to_a_lower_name() -> None:
    assert next_name(5, after_ms=100, first_sequence=7) == SegmentName(101, 7)
    assert next_name(500, after_ms=100, first_sequence=7) == SegmentName(500, 7)


def test_as_much_is_read_back_as_asked_but_always_the_last(tmp_path: Path) -> None:
    names = [SegmentName(number, number) for number in range(1, 6)]
    for name in names:
        (tmp_path / str(name)).write_bytes(b"x" * 100)
    assert first_to_read_back(tmp_path, names[3], 250) == names[2]
    assert first_to_read_back(tmp_path, names[3], 10) == names[3]
    assert first_to_read_back(tmp_path, names[3], 10_000) == names[0]
    assert first_to_read_back(tmp_path, SegmentName(0, 0), 10_000) is None
