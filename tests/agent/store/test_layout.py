# SPDX-License-Identifier: Apache-2.0
from agent.store.layout import compacted_segments, pending, sources
from tests.agent.cli.conftest import START_NS, LogMaker
from tests.agent.store.support import compact_all


def test_a_segment_is_one_source_while_both_forms_are_there(lines: LogMaker) -> None:
    compact_all(lines.directory, remove=False)
    assert [source.compacted for source in sources(lines.directory)] == [True, False]


def test_an_unpublished_file_is_no_source(lines: LogMaker) -> None:
    store = lines.directory / "store"
    store.mkdir()
    (store / "1767225600000-000000000001.parquet.new").write_bytes(b"x")
    assert compacted_segments(lines.directory) == []


def test_the_open_segment_and_young_ones_are_not_pending(lines: LogMaker) -> None:
    closed_s = START_NS / 1e9 + 10
    assert len(pending(lines.directory, 60, closed_s + 61)) == 1
    assert pending(lines.directory, 60, closed_s + 59) == []
