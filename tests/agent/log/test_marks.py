# SPDX-License-Identifier: Apache-2.0
import hashlib
import random
from pathlib import Path

import pytest

from agent.log.compaction import parquet_name
from agent.log.manifest import read_manifest
from agent.log.marks import MARK_BYTES, MarkedHash, marks_path, read_marks, write_marks
from agent.log.segments import list_segments
from agent.log.verify import verify

from .conftest import MakeWriter
from .test_upkeep import compact, fill

LINES = [b"x" * random.Random(at).randrange(3000) + b"\n" for at in range(300)]
DATA = b"".join(LINES)


@pytest.mark.parametrize("together", [1, 7, 300])
def test_marks_are_hashes_up_to_ends_of_lines(tmp_path: Path, together: int) -> None:
    marked, path = MarkedHash(), tmp_path / "s.marks"
    for at in range(0, len(LINES), together):
        marked.update(b"".join(LINES[at : at + together]))
    assert marked.hexdigest() == hashlib.sha256(DATA).hexdigest() and marked.bytes == len(DATA)
    marks = read_marks(path, write_marks(path, bytes(marked.marks), None))
    assert all(hashlib.sha256(DATA[:end]).digest()[:8] == told for end, told in marks.items())
    assert all(DATA[end - 1 : end] == b"\n" for end in marks)
    assert len(DATA) // (2 * MARK_BYTES) < len(marks) <= len(DATA) // MARK_BYTES


def test_one_line_may_be_longer_than_the_distance_of_marks() -> None:
    marked = MarkedHash()
    marked.update(b"y" * (3 * MARK_BYTES) + b"\n" + b"z\n")
    assert len(marked.marks) == 16


def test_marks_that_somebody_changed_are_none(tmp_path: Path) -> None:
    path = tmp_path / "s.marks"
    sha256 = write_marks(path, b"\1" * 32, None)
    assert len(read_marks(path, sha256)) == 1
    path.write_bytes(b"\2" * 32)
    assert read_marks(path, sha256) == {} == read_marks(tmp_path / "none", sha256)


def test_a_disk_that_refuses_them_leaves_none(tmp_path: Path) -> None:
    assert write_marks(tmp_path / "no" / "s.marks", b"x" * 16, None) == ""


@pytest.fixture
def log(make_writer: MakeWriter, log_dir: Path) -> Path:
    """Closed segments of 100 kB, without a heartbeat."""
    writer = make_writer(segment_bytes=100_000)
    fill(writer, 3)
    writer.close("done")
    return log_dir


def test_a_changed_text_is_found_between_two_marks(log: Path) -> None:
    path = log / str(list_segments(log)[0])
    lines = path.read_bytes().splitlines(keepends=True)
    at = len(lines) * 2 // 3
    path.write_bytes(b"".join([*lines[:at], lines[at].replace(b"program-", b"pro9ram-"), *lines[at + 1 :]]))
    (fault,) = verify(log).faults
    assert fault.line <= at + 1 <= (fault.to_line or fault.line)
    size = sum(map(len, lines[fault.line - 1 : fault.to_line]))
    assert size < 2 * MARK_BYTES < len(DATA)


def test_without_its_marks_a_segment_is_one_range(log: Path) -> None:
    path = log / str(list_segments(log)[0])
    marks_path(log, path.name).unlink()
    path.write_bytes(path.read_bytes().replace(b"program-9", b"program-8", 1))
    (fault,) = verify(log).faults
    assert fault.line == 1 and fault.to_line == read_manifest(log).closed[path.name].lines


def test_marks_go_with_the_lines(make_writer: MakeWriter, log_dir: Path) -> None:
    writer = make_writer(segment_bytes=20_000)
    fill(writer, 3)
    first = str(list_segments(log_dir)[0])
    assert marks_path(log_dir, first).exists()
    writer.publish_compacted(compact(log_dir, first))
    writer.tick()
    assert (log_dir / parquet_name(first)).exists() and not marks_path(log_dir, first).exists()


def test_marks_without_lines_are_swept_at_the_next_start(log: Path, make_writer: MakeWriter) -> None:
    stray = marks_path(log, "1700000000000-000000000001.jsonl")
    stray.write_bytes(b"x")
    make_writer().close("done")
    assert not stray.exists() and marks_path(log, list_segments(log)[0]).exists()
