# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.log import opened
from agent.log.opened import OpenedSegment
from agent.log.segments import SegmentName

NAME = SegmentName(1_767_225_600_000, 1)
Opener = Callable[..., OpenedSegment]


@pytest.fixture
def open_with(tmp_path: Path) -> Iterator[Opener]:
    """Opens a segment with this content."""
    made: list[OpenedSegment] = []

    def open_(content: bytes, offset: int = 0) -> OpenedSegment:
        (tmp_path / str(NAME)).write_bytes(content)
        made.append(OpenedSegment(tmp_path, NAME, offset))
        return made[-1]

    yield open_
    for segment in made:
        segment.close()


def all_chunks(segment: OpenedSegment) -> list[bytes]:
    found = []
    for chunk in segment.chunks():
        found.append(chunk)
        segment.offset += len(chunk)
    return found


def test_a_line_that_is_being_written_is_not_read(open_with: Opener) -> None:
    assert all_chunks(open_with(b"one\ntwo\nthr")) == [b"one\ntwo\n"]


def test_a_line_longer_than_a_chunk_comes_whole(open_with: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened, "CHUNK_BYTES", 4)
    assert all_chunks(open_with(b"1\n" + b"x" * 100 + b"\n2\n")) == [b"1\n", b"x" * 100 + b"\n2\n"]


def test_a_line_without_end_is_garbage(open_with: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened, "CHUNK_BYTES", 4)
    monkeypatch.setattr(opened, "LONGEST_LINE", 16)
    assert all_chunks(open_with(b"\0" * 40)) == [b"\0" * 16, b"\0" * 16]


def test_a_place_in_the_middle_of_a_line_moves_to_the_next_one(open_with: Opener) -> None:
    segment = open_with(b"one\ntwo\n", offset=2)
    assert (segment.align(), segment.offset) == (2, 4)


@pytest.mark.parametrize("offset", [0, 4, 8, 99])
def test_a_place_between_lines_or_after_the_end_stays(open_with: Opener, offset: int) -> None:
    segment = open_with(b"one\ntwo\n", offset=offset)
    assert (segment.align(), segment.offset) == (0, offset)


def test_the_head_is_there_when_its_line_is_complete(open_with: Opener) -> None:
    head = b'{"tracehound":{"sequence":1,"segment":{"boot_id":"b"}}}'
    assert open_with(head).head() is None and not open_with(head).has_line()
    segment = open_with(head + b"\n")
    found = segment.head()
    assert found is not None and found["tracehound"]["segment"] == {"boot_id": "b"} and segment.has_line()


def test_another_first_line_is_not_a_head(open_with: Opener) -> None:
    assert open_with(b'{"tracehound":{"sequence":1,"stop":{}}}\n').head() is None
