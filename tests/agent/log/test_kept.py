# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from agent.log.compaction import parquet_name
from agent.log.kept import Kept
from agent.log.manifest import Closed, Compacted, Manifest
from agent.log.retention import ClosedSegment
from agent.log.segments import SegmentName

NAMES = [SegmentName(i * 1000, i * 10 + 1) for i in range(3)]


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    """Lines, both, and Parquet alone."""
    manifest = Manifest()
    (tmp_path / "store").mkdir()
    for name in NAMES:
        manifest.closed[str(name)] = Closed(str(name), 1, 10, 10, 100, f"hash of {name}", "boot-a")
    for name in NAMES[1:]:
        manifest.compacted[str(name)] = Compacted(str(name), "", parquet_name(str(name)), "", 10, 1, 10)
        (tmp_path / parquet_name(str(name))).write_bytes(b"p" * 10)
    for name in NAMES[:2]:
        (tmp_path / str(name)).write_bytes(b"l" * 100)
    made = Kept(tmp_path)
    made.adopt(NAMES[:2], manifest, 9000)
    return made


def test_segments_are_taken_over_in_whatever_form(kept: Kept) -> None:
    assert [(one.size, one.parquet_bytes, one.closed_ms) for one in kept] == [
        (100, 0, 1000),
        (100, 10, 2000),
        (0, 10, 9000),
    ]
    assert kept.bytes == 220 and all(one.sha256 == f"hash of {one.name}" for one in kept)


def test_a_parquet_file_without_a_word_in_the_manifest_is_none(kept: Kept, tmp_path: Path) -> None:
    again = Kept(tmp_path)
    again.adopt(NAMES[:2], Manifest(), 9000)
    assert [one.parquet_bytes for one in again] == [0, 0]


def test_lines_can_go_alone(kept: Kept, tmp_path: Path) -> None:
    both = kept.find(str(NAMES[1]))
    assert both is not None
    kept.unlink_lines(both)
    assert kept.bytes == 120 and not (tmp_path / str(NAMES[1])).exists()
    assert (tmp_path / parquet_name(str(NAMES[1]))).exists()


def test_what_somebody_removed_is_missing_once(kept: Kept, tmp_path: Path) -> None:
    (tmp_path / str(NAMES[0])).unlink()
    (tmp_path / str(NAMES[1])).unlink()
    (tmp_path / parquet_name(str(NAMES[2]))).unlink()
    assert [one.name for one in kept.missing(None)] == [NAMES[0], NAMES[2]]
    assert kept.missing(None) == [] and kept.bytes == 110


def test_a_segment_without_a_known_end_ends_before_the_next(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.add(ClosedSegment(NAMES[0], 5, 0, None))
    assert [one.last_sequence for one in kept.missing(NAMES[1])] == [10]


def test_what_lies_beside_the_parquet_files_takes_room(kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "store" / "lineage.sqlite").write_bytes(b"i" * 7)
    assert kept.other_bytes() == 7
    assert Kept(tmp_path / "absent").other_bytes() == 0
