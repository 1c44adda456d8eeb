# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from agent.store import parquet
from agent.store.reading import SegmentReading
from agent.store.schema import COLUMNS
from tests.agent.store.support import golden_lines


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "s.jsonl").write_bytes("\n".join(golden_lines()).encode(errors="surrogateescape"))
    reading = SegmentReading(tmp_path / "s.jsonl")
    parquet.write(tmp_path / "s.parquet", reading.tables(), reading.metadata)
    return tmp_path / "s.parquet"


def test_a_file_has_the_columns_of_the_schema(path: Path) -> None:
    assert pq.read_schema(path).names == [column.name for column in COLUMNS]


def test_numbers_that_grow_are_stored_as_differences(path: Path) -> None:
    group = pq.read_metadata(path).row_group(0)
    assert "DELTA_BINARY_PACKED" in group.column(0).encodings
    assert group.column(0).statistics.has_min_max


def test_its_metadata_names_the_segment(path: Path) -> None:
    metadata = pq.read_metadata(path).metadata
    assert metadata[b"tracehound.segment"] == b"s.jsonl"
    assert metadata[b"tracehound.format"] == b"1"


def test_the_hash_is_that_of_the_file(path: Path) -> None:
    import hashlib

    assert parquet.sha256_of(path) == hashlib.sha256(path.read_bytes()).hexdigest()
