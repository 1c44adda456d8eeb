# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

from agent.log.compaction import parquet_name
from agent.log.inventory import inventory
from agent.log.manifest import read_manifest
from agent.log.retention import Follower
from agent.log.segments import list_segments

from .conftest import MakeWriter
from .test_upkeep import compact, fill


def test_every_form_is_listed(make_writer: MakeWriter, log_dir: Path) -> None:
    places = [Follower("siem", False, None)]
    writer = make_writer(segment_bytes=20_000, followers=lambda: places)
    fill(writer, 8)
    names = [str(name) for name in list_segments(log_dir)]
    writer.publish_compacted(compact(log_dir, names[1]))
    places.clear()
    writer.tick()
    places.append(Follower("siem", False, None))
    writer.publish_compacted(compact(log_dir, names[2]))
    (log_dir / names[0]).unlink()
    assert [item.form for item in inventory(log_dir)] == ["missing", "parquet", "both", "open"]


def test_an_item_tells_numbers_times_size_and_hash(make_writer: MakeWriter, log_dir: Path) -> None:
    writer = make_writer(segment_bytes=20_000)
    fill(writer, 4)
    first, second = inventory(log_dir)
    closed = read_manifest(log_dir).closed[first.segment]
    assert first[4:] == (1, closed.last_sequence, closed.bytes, closed.sha256, "boot-a")
    assert first.to_ms == second.from_ms and second.to_ms == 0
    assert (second.last_sequence, second.sha256) == (writer.last_sequence, "")


def test_what_retention_removed_is_listed_as_such(make_writer: MakeWriter, log_dir: Path) -> None:
    writer = make_writer(segment_bytes=20_000, retention_bytes=30_000)
    fill(writer, 4)
    writer.tick()
    first = inventory(log_dir)[0]
    assert (first.form, first.bytes) == ("expired", 0) and len(first.sha256) == 64
    assert not (log_dir / parquet_name(first.segment)).exists()
