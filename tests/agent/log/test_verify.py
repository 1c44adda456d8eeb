# SPDX-License-Identifier: Apache-2.0
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.errors import LogUnavailable
from agent.log.compaction import parquet_name
from agent.log.ledger import Ledger
from agent.log.manifest import MANIFEST_NAME, Expired, read_manifest
from agent.log.retention import Follower
from agent.log.segments import list_segments
from agent.log.verdict import Verdict
from agent.log.verify import verify

from .conftest import Clock, MakeWriter
from .test_upkeep import compact, fill


@pytest.fixture
def log(make_writer: MakeWriter, log_dir: Path) -> Path:
    """A log of four closed segments with two heartbeats, of an agent that has stopped."""
    writer = make_writer(segment_bytes=20_000)
    for _ in range(2):
        fill(writer, 3)
        writer.record("heartbeat", {"chain": writer.chain_head()})
    fill(writer, 1)
    writer.close("done")
    return log_dir


def name(log: Path, index: int) -> str:
    return str(list_segments(log)[index])


def change(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, 1))


def first_fault(verdict: Verdict) -> tuple[str, int, int]:
    """Where the first fault is: file, line, record."""
    assert verdict.faults
    return verdict.faults[0][:3]


def test_a_log_as_it_was_written_is_intact(log: Path) -> None:
    verdict = verify(log)
    assert verdict.faults == [] and verdict.notes == []
    assert verdict.counts == {"chained": len(list_segments(log))}
    assert verdict.manifest_head == read_manifest(log).head


def test_every_record_is_counted(log: Path) -> None:
    read: list[int] = []
    verdict = verify(log, progress=read.append)
    assert verdict.lines == sum(one.lines for one in read_manifest(log).closed.values())
    assert sum(read) == verdict.bytes


def test_the_open_segment_of_a_running_agent_is_no_fault(make_writer: MakeWriter, log_dir: Path) -> None:
    writer = make_writer(segment_bytes=20_000)
    fill(writer, 5)
    with (log_dir / name(log_dir, -1)).open("ab") as file:
        file.write(b'{"half a')
    verdict = verify(log_dir)
    assert verdict.faults == [] and verdict.counts["open"] == 1
    assert "8 bytes after the last record" in verdict.notes[0]


def cut_a_line_out(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:9] + lines[10:]))


def swap_two_lines(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    lines[9], lines[10] = lines[10], lines[9]
    path.write_bytes(b"".join(lines))


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    at = data.index(b'"sequence":10,') - 30
    data[data.index(b'"', at)] ^= 1
    path.write_bytes(bytes(data))


def truncate(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:9]))


def repeat_a_line(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:9] + lines[8:]))


@pytest.mark.parametrize("harm", [cut_a_line_out, swap_two_lines, flip_a_bit, truncate, repeat_a_line])
def test_the_first_bad_record_is_named(log: Path, harm: Callable[[Path], None]) -> None:
    harm(log / name(log, 0))
    file, line, sequence = first_fault(verify(log))
    assert (file, line) == (name(log, 0), 10) and sequence in (9, 10, 11)


def test_a_changed_text_is_found_between_the_heartbeats_around_it(log: Path) -> None:
    change(log / name(log, 1), b"program-99", b"program-00")
    verdict = verify(log)
    fault = verdict.faults[0]
    assert fault.file == name(log, 1) and "was changed" in fault.problem
    changed = next(
        number
        for number, line in enumerate((log / name(log, 1)).read_bytes().splitlines(), 1)
        if b"program-00" in line and number > 5
    )
    assert fault.line <= changed <= fault.to_line


def test_a_change_of_the_open_segment_shows_at_the_next_heartbeat(
    make_writer: MakeWriter, log_dir: Path
) -> None:
    writer = make_writer()
    fill(writer, 1)
    writer.record("heartbeat", {"chain": writer.chain_head()})
    fill(writer, 1)
    change(log_dir / name(log_dir, 0), b"program-50", b"program-05")
    fault = verify(log_dir).faults[0]
    assert (fault.line, fault.to_line) == (1, 102) and "before heartbeat 103" in fault.problem


def test_a_change_after_the_fact_with_a_new_manifest_shows_in_the_next_segment(log: Path) -> None:
    """Who changes a record and writes the manifest anew has to change every segment after it."""
    change(log / name(log, 0), b"program-50", b"program-05")
    (log / MANIFEST_NAME).unlink()
    faults = verify(log).faults
    assert {fault.file for fault in faults} == {name(log, 0), MANIFEST_NAME}


def test_a_removed_segment_is_gone(log: Path) -> None:
    gone = name(log, 1)
    (log / gone).unlink()
    verdict = verify(log)
    assert verdict.faults[0].file == gone and "is gone: records 2" in verdict.faults[0].problem


def test_a_removed_segment_that_the_manifest_forgot_leaves_a_hole(log: Path) -> None:
    (log / name(log, 1)).unlink()
    (log / MANIFEST_NAME).unlink()
    assert any("is not before it" in fault.problem for fault in verify(log).faults)
    assert any("are missing before it" in fault.problem for fault in verify(log).faults)


def test_a_removed_end_is_gone(log: Path) -> None:
    (log / name(log, -1)).unlink()
    assert "is gone" in verify(log).faults[0].problem


def test_bytes_after_the_last_record_of_a_closed_segment_show(log: Path) -> None:
    with (log / name(log, 0)).open("ab") as file:
        file.write(b"x")
    assert "1 bytes were added" in verify(log).faults[0].problem


def test_a_changed_manifest_is_named_with_its_line(log: Path) -> None:
    change(log / MANIFEST_NAME, b'"lines":', b'"lines": ')
    assert first_fault(verify(log)) == (MANIFEST_NAME, 2, 0)


def test_a_cut_manifest_shows_by_the_heartbeats(log: Path) -> None:
    path = log / MANIFEST_NAME
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:1]))
    assert any("that heartbeat" in fault.problem for fault in verify(log).faults)


# Compacted and removed segments


@pytest.fixture
def mixed(make_writer: MakeWriter, log_dir: Path) -> Iterator[Path]:
    """A log whose first segment was removed and whose second is compacted; its agent runs."""
    writer = make_writer(segment_bytes=20_000, retention_bytes=100_000)
    fill(writer, 6)
    writer.publish_compacted(compact(log_dir, name(log_dir, 1), 30_000))
    fill(writer, 2)
    writer.tick()
    yield log_dir


def test_what_the_agent_compacted_and_removed_is_no_fault(mixed: Path) -> None:
    verdict = verify(mixed)
    assert verdict.faults == []
    assert (verdict.counts["expired"], verdict.counts["compacted"]) == (1, 1)


def test_a_changed_parquet_file_shows(mixed: Path) -> None:
    parquet = next((mixed / "store").glob("*.parquet"))
    change(parquet, b"ppp", b"pqp")
    assert first_fault(verify(mixed)) == (f"store/{parquet.name}", 0, 0)


def test_a_removed_parquet_file_is_gone(mixed: Path) -> None:
    next((mixed / "store").glob("*.parquet")).unlink()
    assert "is gone" in verify(mixed).faults[0].problem


def test_changed_lines_beside_their_parquet_file_show(make_writer: MakeWriter, log_dir: Path) -> None:
    waiting = Follower("siem", True, None)
    writer = make_writer(segment_bytes=20_000, followers=lambda: [waiting])
    fill(writer, 3)
    first = name(log_dir, 0)
    writer.publish_compacted(compact(log_dir, first))
    writer.close("done")
    assert verify(log_dir).faults == []
    change(log_dir / first, b"program-7", b"program-8")
    assert first_fault(verify(log_dir))[0] == first


def test_a_parquet_file_that_nobody_published_is_named(mixed: Path) -> None:
    stray = parquet_name("1700000000000-000000000001.jsonl")
    (mixed / stray).write_bytes(b"planted")
    assert first_fault(verify(mixed)) == (stray, 0, 0)


def test_a_tombstone_behind_a_kept_segment_is_not_the_agents(log: Path) -> None:
    ledger, gone = Ledger(log), list(read_manifest(log).closed.values())[1]
    ledger.open()
    told = Expired(gone.segment, "size", gone.sha256, gone.first_sequence, gone.last_sequence, gone.bytes)
    ledger.note_expired([told], 0)
    (log / gone.segment).unlink()
    verdict = verify(log)
    assert first_fault(verdict) == (MANIFEST_NAME, 0, gone.first_sequence)
    assert f"the tombstone of {gone.segment}" in verdict.faults[0].problem


def test_bytes_after_the_last_line_of_the_manifest_are_told(log: Path) -> None:
    with (log / MANIFEST_NAME).open("ab") as file:
        file.write(b'{"previous"')
    verdict = verify(log)
    assert verdict.faults == [] and verdict.notes[0].startswith(
        "manifest.jsonl: 11 bytes after the last line"
    )


def test_rows_are_compared_with_the_lines_that_were_written(make_writer: MakeWriter, log_dir: Path) -> None:
    writer = make_writer(segment_bytes=20_000)
    fill(writer, 4)
    first = name(log_dir, 0)
    lines = (log_dir / first).read_bytes().splitlines(keepends=True)
    writer.publish_compacted(compact(log_dir, first))
    writer.tick()
    assert verify(log_dir, rebuild=lambda path: lines).faults == []
    fault = verify(log_dir, rebuild=lambda path: lines[:-1]).faults[0]
    assert fault.file == parquet_name(first) and "do not give the lines" in fault.problem


def damaged(path: Path) -> Iterator[bytes]:
    raise ValueError("no magic bytes")
    yield b""


def test_rows_that_cannot_be_read_are_a_fault(mixed: Path) -> None:
    assert "no magic bytes" in verify(mixed, rebuild=damaged).faults[0].problem


# Boots, runs and versions


def test_runs_and_boots_go_on_from_each_other(make_writer: MakeWriter, log_dir: Path) -> None:
    make_writer().close("done")
    make_writer().close("done")
    make_writer(boot_id="boot-b").close("done")
    assert verify(log_dir).faults == [] and verify(log_dir).counts == {"chained": 3}


def test_a_missing_beginning_of_a_boot_shows(make_writer: MakeWriter, log_dir: Path) -> None:
    make_writer().close("done")
    make_writer(boot_id="boot-b").close("done")
    path = log_dir / name(log_dir, 1)
    path.rename(path.with_name(path.name.replace("000001.jsonl", "000005.jsonl")))
    (log_dir / MANIFEST_NAME).unlink()
    assert any("records 1 to 4 are missing" in fault.problem for fault in verify(log_dir).faults)


def test_segments_of_an_older_version_are_not_chained_and_no_fault(
    make_writer: MakeWriter, log_dir: Path
) -> None:
    writer = make_writer(segment_bytes=20_000)
    fill(writer, 4)
    writer.close("done")
    for segment in list_segments(log_dir):  # as version 0.1 wrote them
        path = log_dir / str(segment)
        head, rest = path.read_bytes().split(b"\n", 1)
        at = head.find(b',"previous_sha256"')
        path.write_bytes((head if at < 0 else head[:at] + head[head.index(b"}", at) :]) + b"\n" + rest)
    (log_dir / MANIFEST_NAME).unlink()
    old = len(list_segments(log_dir))
    make_writer()
    verdict = verify(log_dir)
    assert verdict.faults == []
    assert verdict.counts == {"not_chained": old - 1, "chained": 1, "open": 1}


# What is asked for


def test_a_head_that_a_receiver_kept_is_found(log: Path) -> None:
    manifest = read_manifest(log)
    assert "line 2 of" in verify(log, head=manifest.hashes[1]).head_found
    closed = manifest.closed[name(log, 0)].sha256
    assert verify(log, head=closed.upper()).head_found == f"segment {name(log, 0)}"


def test_a_log_that_was_written_anew_does_not_have_it(log: Path) -> None:
    verdict = verify(log, head="00" * 32)
    assert "is not in this log" in verdict.faults[0].problem and not verdict.head_found


def test_segments_before_the_time_are_not_read(make_writer: MakeWriter, clock: Clock, log_dir: Path) -> None:
    make_writer().close("done")
    clock.pass_(3600)
    make_writer().close("done")
    change(log_dir / name(log_dir, 0), b'"exec"', b'"exit"')
    assert verify(log_dir).faults
    verdict = verify(log_dir, since_ns=clock.wall + 2 * 10**9)
    assert verdict.faults == [] and verdict.counts == {"skipped": 1, "chained": 1}


def test_a_directory_that_is_none_is_told_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(LogUnavailable, match="cannot read the log"):
        verify(tmp_path / "absent")


def test_a_segment_that_may_not_be_read_is_told(make_writer: MakeWriter, unprivileged: Path) -> None:
    make_writer(dir=unprivileged / "log").close("done")
    os.chmod(unprivileged / "log" / name(unprivileged / "log", 0), 0)
    with pytest.raises(LogUnavailable, match="Permission denied"):
        verify(unprivileged / "log")
