# SPDX-License-Identifier: Apache-2.0
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.log.compaction import CompactionRefused, parquet_name
from agent.log.entry import Cursor
from agent.log.manifest import MANIFEST_NAME, Compaction, read_manifest
from agent.log.retention import Follower
from agent.log.segments import list_segments
from agent.log.writer import LogWriter

from .conftest import Clock, MakeWriter, event, kinds_of, records_of
from .test_disk import largest_file

BATCH = [event(f"program-{i}") for i in range(100)]


def compact(directory: Path, segment: str, size: int = 500) -> Compaction:
    """What a compactor leaves behind and says; the content of the file is nobody's business here."""
    closed = read_manifest(directory).closed[segment]
    path = directory / (parquet_name(segment) + ".new")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"p" * size)
    digest = hashlib.sha256(b"p" * size).hexdigest()
    return Compaction(
        segment, closed.sha256, digest, closed.lines, closed.first_sequence, closed.last_sequence
    )


def fill(writer: LogWriter, batches: int = 6) -> None:
    for _ in range(batches):
        writer.append(BATCH)


def test_a_parquet_file_takes_the_place_of_the_lines(make_writer: MakeWriter, log_dir: Path) -> None:
    writer = make_writer(segment_bytes=20_000)
    fill(writer)
    first = str(list_segments(log_dir)[0])
    writer.publish_compacted(made := compact(log_dir, first))
    writer.tick()
    assert (log_dir / parquet_name(first)).exists() and not (log_dir / first).exists()
    assert read_manifest(log_dir).compacted[first].parquet_sha256 == made.parquet_sha256
    assert "loss" not in kinds_of(log_dir)


def test_lines_stay_until_every_exporter_has_read_them(make_writer: MakeWriter, log_dir: Path) -> None:
    places: list[Follower] = [Follower("siem", False, None)]
    writer = make_writer(segment_bytes=20_000, followers=lambda: places)
    fill(writer)
    first, second = map(str, list_segments(log_dir)[:2])
    writer.publish_compacted(compact(log_dir, first))
    writer.tick()
    assert (log_dir / first).exists()
    places[0] = Follower("siem", False, Cursor(second, 0, 250))
    writer.tick()
    assert not (log_dir / first).exists()


def test_a_file_made_of_other_lines_is_refused(make_writer: MakeWriter, log_dir: Path) -> None:
    writer = make_writer(segment_bytes=20_000)
    fill(writer)
    first = str(list_segments(log_dir)[0])
    with pytest.raises(CompactionRefused, match="lines that differ"):
        writer.publish_compacted(compact(log_dir, first)._replace(sha256="00" * 32))
    assert not (log_dir / parquet_name(first)).exists() and (log_dir / first).exists()


def test_the_open_segment_and_compacted_ones_are_refused(make_writer: MakeWriter, log_dir: Path) -> None:
    writer = make_writer(segment_bytes=20_000)
    fill(writer)
    first, newest = str(list_segments(log_dir)[0]), str(list_segments(log_dir)[-1])
    made = compact(log_dir, first)
    writer.publish_compacted(made)
    for again in (made, made._replace(segment=newest), made._replace(segment="../x")):
        with pytest.raises(CompactionRefused):
            writer.publish_compacted(again)


def test_a_full_disk_leaves_the_lines_and_takes_the_name_back(make_writer: MakeWriter, log_dir: Path) -> None:
    writer = make_writer(segment_bytes=20_000)
    fill(writer)
    first = str(list_segments(log_dir)[0])
    made = compact(log_dir, first)
    with largest_file((log_dir / MANIFEST_NAME).stat().st_size), pytest.raises(OSError, match="too large"):
        writer.publish_compacted(made)
    assert (log_dir / first).exists() and not (log_dir / parquet_name(first)).exists()
    writer.publish_compacted(made)
    assert first in read_manifest(log_dir).compacted


def test_the_next_run_knows_compacted_segments(make_writer: MakeWriter, clock: Clock, log_dir: Path) -> None:
    writer = make_writer(segment_bytes=20_000)
    fill(writer)
    first = str(list_segments(log_dir)[0])
    writer.publish_compacted(compact(log_dir, first))
    writer.tick()
    writer.close("done")
    writer = make_writer(retention_seconds=3600)
    clock.pass_(31)
    writer.tick()
    assert "loss" not in kinds_of(log_dir)
    clock.pass_(3700)
    assert (writer.tick()[0].name, (log_dir / parquet_name(first)).exists()) == (first, False)


def test_parquet_files_and_index_count_and_the_oldest_goes_in_whatever_form(
    make_writer: MakeWriter, log_dir: Path
) -> None:
    writer = make_writer(segment_bytes=20_000, retention_bytes=100_000)
    fill(writer)
    first = str(list_segments(log_dir)[0])
    writer.publish_compacted(compact(log_dir, first))
    assert writer.tick() == []
    (log_dir / "store" / "lineage.sqlite").write_bytes(b"i" * 60_000)
    assert writer.tick()[0].name == first
    tombstone = read_manifest(log_dir).expired[first]
    assert (tombstone.sha256, tombstone.bytes) == (read_manifest(log_dir).closed[first].sha256, 500)
    assert not (log_dir / parquet_name(first)).exists()


def test_lines_that_wait_for_the_compactor_push_nothing_out(make_writer: MakeWriter, log_dir: Path) -> None:
    works = True
    writer = make_writer(
        segment_bytes=20_000, retention_bytes=30_000, hard_bytes=200_000, compactable=lambda _: works
    )
    fill(writer)
    assert sum(path.stat().st_size for path in log_dir.glob("*.jsonl")) > 90_000
    assert writer.tick() == []
    works = False
    assert {removal.reason for removal in writer.tick()} == {"size"}


def test_lines_that_an_exporter_needs_push_no_parquet_file_out(
    make_writer: MakeWriter, log_dir: Path
) -> None:
    places: list[Follower] = []
    writer = make_writer(
        segment_bytes=20_000, retention_bytes=60_000, hard_bytes=300_000, followers=lambda: places
    )
    fill(writer, 10)
    first, second, *_ = names = list_segments(log_dir)
    places.append(Follower("siem", True, Cursor(str(second), 0, second.first_sequence)))
    for name in names[:-1]:
        writer.publish_compacted(compact(log_dir, str(name)))
    assert writer.tick() == [] and list_segments(log_dir) == names[1:]
    assert (log_dir / parquet_name(str(first))).exists()


def test_what_a_required_exporter_missed_is_told(make_writer: MakeWriter, log_dir: Path) -> None:
    writer = make_writer(
        segment_bytes=20_000,
        retention_bytes=30_000,
        hard_bytes=50_000,
        followers=lambda: [Follower("siem", True, None)],
    )
    fill(writer)
    names = {removal.name: removal.unread_by for removal in writer.tick()}
    assert set(map(str, names.values())) <= {"{'siem': 202}", "{'siem': 201}"} and names
    told = [r["tracehound"]["retention"] for r in records_of(log_dir) if "retention" in r["tracehound"]]
    assert {one["removed"]: one["unread_by"] for one in told} == names
    assert {name: one.unread_by for name, one in read_manifest(log_dir).expired.items()} == names


def test_a_compacted_segment_that_somebody_removed_is_a_loss(
    make_writer: MakeWriter, clock: Clock, log_dir: Path
) -> None:
    writer = make_writer(segment_bytes=20_000)
    fill(writer)
    first = str(list_segments(log_dir)[0])
    writer.publish_compacted(compact(log_dir, first))
    writer.tick()
    (log_dir / parquet_name(first)).unlink()
    clock.pass_(31)
    writer.tick()
    assert kinds_of(log_dir).count("loss") == 1


def refuse_unlink(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "unlink", refuse)


def test_a_segment_that_cannot_be_removed_gets_one_tombstone(
    make_writer: MakeWriter, log_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = make_writer(segment_bytes=20_000, retention_bytes=100_000)
    fill(writer)
    writer.change(writer._settings.__class__(dir=str(log_dir), segment_bytes=20_000, retention_bytes=60_000))
    with monkeypatch.context() as patch:
        refuse_unlink(patch)
        assert writer.tick() == [] == writer.tick()
    assert len(writer.tick()) == len(read_manifest(log_dir).expired) == 2
    assert len(read_manifest(log_dir).hashes) == len(read_manifest(log_dir).closed) + 2


def test_a_read_only_manifest_keeps_everything(
    make_writer: MakeWriter, log_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = make_writer(segment_bytes=20_000, retention_bytes=60_000)
    fill(writer)
    real: Callable[..., int] = os.open

    def refuse(path: object, flags: int, mode: int = 0o777) -> int:
        if str(path).endswith(MANIFEST_NAME):
            raise OSError(30, "Read-only file system")
        return real(path, flags, mode)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        assert writer.tick() == []
    assert writer.tick() != [] and read_manifest(log_dir).first_bad is None


def test_a_full_disk_does_not_keep_retention_from_making_room(make_writer: MakeWriter, log_dir: Path) -> None:
    writer = make_writer(segment_bytes=20_000, retention_bytes=60_000)
    fill(writer)
    with largest_file((log_dir / MANIFEST_NAME).stat().st_size):
        assert len(writer.tick()) == 2 and not read_manifest(log_dir).expired
    writer.close("done")
    assert len(read_manifest(log_dir).expired) == 2


def test_what_was_noted_as_removed_is_removed_by_the_next_run(make_writer: MakeWriter, log_dir: Path) -> None:
    writer = make_writer(segment_bytes=20_000, retention_bytes=60_000)
    fill(writer)
    first = log_dir / str(list_segments(log_dir)[0])
    kept = first.read_bytes()
    writer.tick()
    writer.close("done")
    first.write_bytes(kept)
    make_writer()
    assert not first.exists()
