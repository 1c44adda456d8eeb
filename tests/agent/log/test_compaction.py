# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from agent.errors import AlreadyRunning
from agent.log.compaction import CompactionRefused, check, compacted_fact, parquet_name, publish_alone
from agent.log.manifest import Closed, Compaction, read_manifest
from agent.log.segments import list_segments

from .conftest import MakeWriter
from .test_upkeep import compact, fill

CLOSED = Closed("1767225600000-000000000001.jsonl", 1, 10, 10, 900, "ab", "boot-a")
MADE = Compaction(CLOSED.segment, "ab", "cd", 10, 1, 10)


def test_a_parquet_file_has_the_name_of_its_segment() -> None:
    assert parquet_name(CLOSED.segment) == "store/1767225600000-000000000001.parquet"
    assert compacted_fact(MADE) == (CLOSED.segment, "ab", parquet_name(CLOSED.segment), "cd", 10, 1, 10)


def test_a_compaction_of_the_very_lines_is_good() -> None:
    check(MADE, CLOSED)


@pytest.mark.parametrize(
    "other", [{"sha256": "ac"}, {"rows": 9}, {"first_sequence": 2}, {"last_sequence": 9}]
)
def test_a_compaction_of_other_lines_is_refused(other: dict[str, object]) -> None:
    with pytest.raises(CompactionRefused, match="differ"):
        check(MADE._replace(**other), CLOSED)


def test_without_an_agent_anybody_who_gets_the_lock_may_publish(
    make_writer: MakeWriter, log_dir: Path
) -> None:
    writer = make_writer(segment_bytes=20_000)
    fill(writer)
    first = str(list_segments(log_dir)[0])
    made = compact(log_dir, first)
    with pytest.raises(AlreadyRunning):
        publish_alone(log_dir, made)
    writer.close("done")
    publish_alone(log_dir, made)
    assert not (log_dir / first).exists() and read_manifest(log_dir).first_bad is None
    with pytest.raises(CompactionRefused):
        publish_alone(log_dir, compact(log_dir, str(list_segments(log_dir)[-1])))
