# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from agent.log.segments import SegmentName
from exporters.s3_layout import Names, node_of, read_slice

NAME = SegmentName(1767311999999, 184213)
LINE = b'{"tracehound":{"sequence":%d,"loss":{}},"node_name":"n1"}\n'


@pytest.mark.parametrize(("prefix", "begin"), [("tracehound", "tracehound/"), ("/a/b/", "a/b/"), ("", "")])
def test_keys_are_partitioned_by_node_and_day(prefix: str, begin: str) -> None:
    names = Names(prefix, "n1")
    assert names.parquet(NAME) == f"{begin}node=n1/date=2026-01-01/1767311999999-000000184213.parquet"
    assert names.live(NAME, 7).endswith("date=2026-01-01/1767311999999-000000184213.000000000007.jsonl.zst")


def test_a_name_cannot_leave_its_partition() -> None:
    assert "/node=..%2F..%2Fx%3D1/" in Names("p", "../../x=1").parquet(NAME)


def test_a_node_that_was_set_up_anew_does_not_overwrite_the_old_manifest() -> None:
    names = Names("p", "n1")
    assert names.manifest(b"one\nmore\n") == names.manifest(b"one\nmore\nand more\n")
    assert names.manifest(b"one\n") != names.manifest(b"two\n")


def test_a_slice_is_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "segment"
    path.write_bytes(LINE % 1 + LINE % 2 + LINE[:20])
    found = read_slice(path, 0, 1 << 20)
    assert found is not None
    assert (found.lines, found.events, found.sequence) == (LINE % 1 + LINE % 2, 2, 2)
    assert read_slice(path, found.end, 1 << 20) is None


def test_a_line_that_is_longer_than_a_slice_goes_alone(tmp_path: Path) -> None:
    path = tmp_path / "segment"
    path.write_bytes(LINE % 1 + LINE % 2)
    found = read_slice(path, 0, 10)
    assert found is not None
    assert (found.lines, found.end) == (LINE % 1, len(LINE % 1))


def test_the_node_is_that_of_the_newest_segment_with_a_line(tmp_path: Path) -> None:
    (tmp_path / str(SegmentName(1767225600000, 1))).write_bytes(LINE % 1)
    (tmp_path / str(SegmentName(1767225600001, 2))).write_bytes(b"")
    assert node_of(tmp_path) == "n1"
