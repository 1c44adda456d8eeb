# SPDX-License-Identifier: Apache-2.0
import errno
import hashlib
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.errors import AlreadyRunning, LogUnavailable
from agent.log.disk import DiskState
from agent.log.manifest import read_manifest
from agent.log.reader import LogReader
from agent.log.segments import list_segments
from agent.log.writer import LogWriter
from agent.settings import LogSettings

from .conftest import FACTS, Clock, MakeWriter, event, kinds_of, records_of, sequences_of
from .test_disk import largest_file

BATCH = [event(f"program-{i}") for i in range(100)]


def own(directory: Path, kind: str) -> list[dict[str, Any]]:
    """The contents of all own records of this kind."""
    return [r["tracehound"][kind] for r in records_of(directory) if kind in r["tracehound"]]


def test_a_log_begins_with_segment_and_start(make_writer: MakeWriter, log_dir: Path) -> None:
    make_writer()
    assert kinds_of(log_dir) == ["segment", "start"]
    assert own(log_dir, "start") == [
        {
            "pid": os.getpid(),
            "version": "0.1.0",
            "kernel": "6.1.0",
            "previous_sequence": 0,
            "programs": ["exec"],
        }
    ]


def test_events_stand_in_the_log_as_given_with_their_numbers(make_writer: MakeWriter, log_dir: Path) -> None:
    writer = make_writer()
    assert writer.append(BATCH) == 100
    assert writer.last_sequence == 102
    assert sequences_of(log_dir) == list(range(1, 103))
    binaries = [r["process_exec"]["process"]["binary"] for r in records_of(log_dir)[2:]]
    assert binaries == [f"program-{i}" for i in range(100)]


def test_own_records_share_the_numbers(make_writer: MakeWriter, log_dir: Path) -> None:
    writer = make_writer()
    writer.append(BATCH[:1])
    writer.record("loss", {"cause": "ring_full", "count": 3}, time_ns=0)
    writer.append(BATCH[:1])
    assert kinds_of(log_dir)[2:] == ["exec", "loss", "exec"]
    assert sequences_of(log_dir) == [1, 2, 3, 4, 5]
    assert records_of(log_dir)[3]["time"] == "1970-01-01T00:00:00.000000000Z"


def test_an_ordered_stop_is_the_last_record(make_writer: MakeWriter, log_dir: Path) -> None:
    writer = make_writer()
    assert writer.close("SIGTERM", {"events": 5, "lost": {}})
    assert own(log_dir, "stop") == [{"reason": "SIGTERM", "events": 5, "lost": {}}]


def test_after_an_ordered_stop_the_next_run_goes_on_without_a_word(
    make_writer: MakeWriter, log_dir: Path
) -> None:
    make_writer().close("SIGTERM")
    make_writer()
    assert kinds_of(log_dir) == ["segment", "start", "stop", "segment", "start"]
    assert sequences_of(log_dir) == [1, 2, 3, 4, 5]
    assert own(log_dir, "start")[1]["previous_sequence"] == 3


def test_a_new_boot_begins_at_one(make_writer: MakeWriter, log_dir: Path) -> None:
    make_writer().close("reboot")
    make_writer(boot_id="boot-b")
    assert sequences_of(log_dir) == [1, 2, 3, 1, 2]
    assert len(list_segments(log_dir)) == 2


def test_a_closed_writer_takes_nothing_more(make_writer: MakeWriter, log_dir: Path) -> None:
    writer = make_writer()
    writer.close("SIGTERM")
    with pytest.raises(RuntimeError, match="not open"):
        writer.append(BATCH)
    assert writer.tick() == [] and not writer.close("again")
    assert kinds_of(log_dir)[-1] == "stop"


def test_one_directory_has_one_writer(make_writer: MakeWriter) -> None:
    make_writer()
    with pytest.raises(AlreadyRunning, match=str(os.getpid())):
        make_writer()


def test_a_directory_without_the_right_to_write_is_refused_with_the_way_out(
    make_writer: MakeWriter, unprivileged: Path
) -> None:
    unprivileged.chmod(0o555)
    with pytest.raises(LogUnavailable, match="Permission denied") as caught:
        make_writer(dir=unprivileged / "log")
    assert "log.dir" in caught.value.hint
    with pytest.raises(LogUnavailable):
        make_writer(dir=unprivileged)


# Rotation


def test_a_segment_is_closed_when_it_has_grown_to_its_size(make_writer: MakeWriter, log_dir: Path) -> None:
    writer = make_writer(segment_bytes=20_000)
    for _ in range(10):
        writer.append(BATCH)
    names = list_segments(log_dir)
    assert len(names) == 5
    assert all((log_dir / str(name)).stat().st_size >= 20_000 for name in names[:-1])
    assert sequences_of(log_dir) == list(range(1, writer.last_sequence + 1))
    assert own(log_dir, "segment")[1]["previous"] == str(names[0])


def test_a_segment_is_closed_when_it_is_old(make_writer: MakeWriter, clock: Clock, log_dir: Path) -> None:
    writer = make_writer(segment_seconds=60)
    clock.pass_(61)
    writer.tick()
    assert len(list_segments(log_dir)) == 2
    clock.pass_(61)
    writer.tick()
    assert len(list_segments(log_dir)) == 2  # nothing but its head is in it


def test_a_clock_that_was_set_back_begins_a_segment(
    make_writer: MakeWriter, clock: Clock, log_dir: Path
) -> None:
    writer = make_writer()
    clock.step(-3600)
    writer.tick()
    writer.tick()
    assert len(list_segments(log_dir)) == 2
    assert records_of(log_dir)[-1]["time"] == "2025-12-31T23:00:00.000000000Z"


def test_a_size_of_nothing_still_lets_lines_in(make_writer: MakeWriter, log_dir: Path) -> None:
    writer = make_writer(segment_bytes=1)
    for _ in range(3):
        writer.append(BATCH[:2])
    assert kinds_of(log_dir).count("exec") == 6


# Retention


def test_old_segments_go_when_the_log_is_too_large(make_writer: MakeWriter, log_dir: Path) -> None:
    writer = make_writer(segment_bytes=20_000, retention_bytes=60_000)
    for _ in range(6):
        writer.append(BATCH)
    removed = writer.tick()
    assert [(r.first_sequence, r.last_sequence, r.reason) for r in removed] == [
        (1, 202, "size"),
        (203, 403, "size"),
    ]
    assert own(log_dir, "retention") == [r.content() for r in removed]
    assert sum(path.stat().st_size for path in log_dir.glob("*.jsonl")) <= 60_000 + 1000


def test_segments_of_earlier_runs_go_too(make_writer: MakeWriter, clock: Clock, log_dir: Path) -> None:
    make_writer().close("SIGTERM")
    first = str(list_segments(log_dir)[0])
    writer = make_writer(retention_seconds=3600)
    assert writer.tick() == []
    clock.pass_(3700)
    assert [(r.name, r.first_sequence, r.last_sequence, r.reason) for r in writer.tick()] == [
        (first, 1, 3, "age")
    ]


def test_a_clock_that_was_set_forward_removes_nothing(make_writer: MakeWriter, clock: Clock) -> None:
    make_writer().close("SIGTERM")
    writer = make_writer(retention_seconds=3600)
    clock.step(10 * 365 * 86400)
    assert writer.tick() == []


def test_heartbeats_can_hold_the_head_of_the_chain(make_writer: MakeWriter, log_dir: Path) -> None:
    writer = make_writer(segment_bytes=5000)
    assert writer.chain_head().keys() == {"open"}
    writer.append(BATCH)
    writer.append(BATCH)
    head, (first, second) = writer.chain_head(), list_segments(log_dir)
    digests = [hashlib.sha256((log_dir / str(name)).read_bytes()).hexdigest() for name in (first, second)]
    size = (log_dir / str(second)).stat().st_size
    assert head == {
        "manifest": read_manifest(log_dir).head,
        "segment": str(first),
        "sha256": digests[0],
        "open": {"segment": str(second), "bytes": size, "sha256": digests[1]},
    }
    assert own(log_dir, "segment")[1]["previous_sha256"] == digests[0]


def test_numbers_of_the_manifest_are_not_given_out_again(make_writer: MakeWriter, log_dir: Path) -> None:
    writer = make_writer(segment_bytes=5000)
    writer.append(BATCH)
    writer.close("done")
    last = writer.last_sequence
    for name in list_segments(log_dir):
        (log_dir / str(name)).unlink()
    make_writer()
    assert sequences_of(log_dir)[0] == last + 1


# Trouble with the disk


def test_lines_wait_while_the_disk_is_full(make_writer: MakeWriter, clock: Clock, log_dir: Path) -> None:
    writer = make_writer()
    with largest_file(10_000):
        assert [writer.append(BATCH) for _ in range(3)] == [100, 100, 100]
        writer.record("heartbeat", {})
        clock.pass_(5)
        writer.tick()
        health = writer.health()
    assert health.state is DiskState.DISK_FULL and "File too large" in health.error
    assert health.since_ns == clock.wall - 5 * 10**9
    assert health.queued + writer.last_sequence == 303 and health.dropped == 0
    clock.pass_(1)
    writer.tick()
    assert writer.health().state is DiskState.OK and writer.health().queued == 0
    assert kinds_of(log_dir) == ["segment", "start", *["exec"] * 300, "heartbeat"]
    assert sequences_of(log_dir) == list(range(1, 304))


def test_what_is_written_is_shown_with_its_number_when_it_has_one(
    make_writer: MakeWriter, clock: Clock, log_dir: Path
) -> None:
    shown: list[int] = []
    writer = make_writer(
        segment_bytes=4096, when_written=lambda lines, first: shown.extend(range(first, first + len(lines)))
    )
    with largest_file(0):
        writer.append(BATCH)
    assert shown == [2]
    clock.pass_(1)
    writer.tick()
    writer.append(BATCH)
    writer.record("heartbeat", {})
    numbers = zip(kinds_of(log_dir), sequences_of(log_dir), strict=True)
    assert shown == [number for kind, number in numbers if kind != "segment"]
    assert len(list(log_dir.glob("*.jsonl"))) > 2


def test_what_does_not_fit_into_the_queue_is_told_where_it_is_missing(
    make_writer: MakeWriter, clock: Clock, log_dir: Path
) -> None:
    writer = make_writer(queue_bytes=40_000)
    with largest_file(0):
        taken = [writer.append(BATCH) for _ in range(3)]
    assert taken[0] == 100 and 0 < taken[1] < 100 and taken[2] == 0
    clock.pass_(1)
    writer.tick()
    writer.append(BATCH[:1])
    kept = sum(taken)
    assert writer.health().dropped == 300 - kept
    assert kinds_of(log_dir) == ["segment", "start", *["exec"] * kept, "loss", "exec"]
    assert own(log_dir, "loss") == [
        {
            "cause": "queue_full",
            "lane": "agent",
            "count": 300 - kept,
            "from": "2026-01-01T00:00:00.000000000Z",
            "to": "2026-01-01T00:00:00.000000000Z",
        }
    ]
    assert sequences_of(log_dir) == list(range(1, writer.last_sequence + 1))


@pytest.mark.root
def test_a_really_full_disk_is_waited_out(make_writer: MakeWriter, clock: Clock, small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 150_000)
    writer = make_writer(dir=small_disk / "log", segment_bytes=40_000)
    written = sum(writer.append(BATCH) for _ in range(10))
    assert written == 1000 and writer.health().state is DiskState.DISK_FULL
    assert len(sequences_of(small_disk / "log")) == writer.last_sequence < 1000
    ballast.unlink()
    clock.pass_(1)
    writer.tick()
    assert writer.health().state is DiskState.OK
    assert kinds_of(small_disk / "log").count("exec") == 1000
    assert sequences_of(small_disk / "log") == list(range(1, writer.last_sequence + 1))


def test_a_full_disk_is_no_reason_not_to_start(make_writer: MakeWriter, clock: Clock, log_dir: Path) -> None:
    with largest_file(0):
        writer = make_writer()
        assert writer.append(BATCH) == 100
    assert writer.health().state is DiskState.DISK_FULL
    clock.pass_(1)
    assert writer.append(BATCH) == 100  # without a tick in between
    assert kinds_of(log_dir) == ["segment", "start", *["exec"] * 200]


def test_a_disk_that_is_full_to_the_end_is_not_called_clean(make_writer: MakeWriter) -> None:
    writer = make_writer()
    with largest_file(0):
        assert not writer.close("SIGTERM")


def test_a_directory_that_became_read_only_is_waited_for(
    make_writer: MakeWriter, clock: Clock, unprivileged: Path
) -> None:
    log_dir = unprivileged / "log"
    writer = make_writer(dir=log_dir, segment_bytes=20_000)
    log_dir.chmod(0o555)
    for _ in range(3):
        writer.append(BATCH)
    assert writer.health().state is DiskState.READ_ONLY
    log_dir.chmod(0o750)
    clock.pass_(1)
    writer.tick()
    assert kinds_of(log_dir).count("exec") == 300
    assert sequences_of(log_dir) == list(range(1, writer.last_sequence + 1))


def test_a_directory_that_vanished_is_made_again(
    make_writer: MakeWriter, clock: Clock, log_dir: Path
) -> None:
    writer = make_writer()
    writer.append(BATCH)
    shutil.rmtree(log_dir)
    clock.pass_(1)
    writer.tick()
    assert writer.append(BATCH) == 100
    assert kinds_of(log_dir) == ["segment", "loss", *["exec"] * 100]
    assert own(log_dir, "loss") == [
        {
            "cause": "log_gap",
            "lane": "agent",
            "count": 102,
            "from": "2026-01-01T00:00:00.000000000Z",
            "to": "2026-01-01T00:00:01.000000000Z",
        }
    ]
    assert sequences_of(log_dir) == list(range(103, 205))
    with pytest.raises(AlreadyRunning):
        make_writer()


def test_lines_wait_while_the_directory_cannot_be_made_again(
    make_writer: MakeWriter, clock: Clock, log_dir: Path
) -> None:
    writer = make_writer()
    shutil.rmtree(log_dir)
    log_dir.write_text("a file in its place")
    writer.tick()
    assert writer.append(BATCH) == 100
    assert writer.health().state is not DiskState.OK and writer.health().queued == 101
    log_dir.unlink()
    clock.pass_(1)
    writer.tick()
    assert kinds_of(log_dir) == ["segment", "loss", *["exec"] * 100]


def hide(path: Path) -> None:
    path.rename(path.with_name("hidden"))


def empty(path: Path) -> None:
    os.truncate(path, 0)


def replace_by_a_copy(path: Path) -> None:
    shutil.copy(path, path.with_name("copy"))
    path.with_name("copy").rename(path)


@pytest.mark.parametrize("harm", [Path.unlink, hide, empty, replace_by_a_copy])
def test_an_open_segment_that_was_tampered_with_is_left_and_told_of(
    make_writer: MakeWriter, log_dir: Path, harm: Callable[[Path], None]
) -> None:
    writer = make_writer()
    writer.append(BATCH)
    harm(log_dir / str(list_segments(log_dir)[0]))
    writer.tick()
    writer.append(BATCH)
    loss = own(log_dir, "loss")[0]
    assert (loss["cause"], loss["count"]) == ("log_gap", 102)
    assert writer.health().state is DiskState.OK


def test_a_closed_segment_that_was_removed_is_told_of(
    make_writer: MakeWriter, clock: Clock, log_dir: Path
) -> None:
    writer = make_writer(segment_bytes=20_000)
    for _ in range(3):
        writer.append(BATCH)
    (log_dir / str(list_segments(log_dir)[0])).unlink()
    clock.pass_(31)
    writer.tick()
    assert [(loss["cause"], loss["count"]) for loss in own(log_dir, "loss")] == [("log_gap", 202)]


def test_a_failing_sync_is_told_until_one_works(
    make_writer: MakeWriter, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    writer = make_writer()
    clock.pass_(1)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        writer.tick()
    assert writer.health().state is DiskState.IO_ERROR and "sync" in writer.health().error
    assert writer.append(BATCH) == 100 and writer.health().queued == 0
    clock.pass_(1)
    writer.tick()
    assert writer.health().state is DiskState.OK


def test_a_slow_disk_delays_and_loses_nothing(
    make_writer: MakeWriter, clock: Clock, log_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, real = make_writer(segment_bytes=20_000, queue_bytes=4096), os.fdatasync

    def slow(fd: int) -> None:
        clock.pass_(7)
        real(fd)

    monkeypatch.setattr(os, "fdatasync", slow)
    for _ in range(6):
        assert writer.append(BATCH) == 100
        writer.tick()
    assert writer.health().state is DiskState.OK and writer.health().dropped == 0
    assert sequences_of(log_dir) == list(range(1, writer.last_sequence + 1))
    assert "loss" not in kinds_of(log_dir)


def test_a_segment_is_on_disk_before_the_next_one_names_it(
    make_writer: MakeWriter, log_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, order, sync, rename = make_writer(segment_bytes=5000), list[str](), os.fdatasync, Path.rename
    monkeypatch.setattr(os, "fdatasync", lambda fd: (order.append("sync"), sync(fd))[1])
    monkeypatch.setattr(Path, "rename", lambda *paths: (order.append("name"), rename(*paths))[1])
    writer.append(BATCH)
    writer.append(BATCH)
    assert order == ["sync", "name", "sync"]  # the segment, the next one, the manifest


@pytest.mark.parametrize(("seconds", "syncs"), [(-1, 0), (0, 5), (1.0, 2)])
def test_data_is_forced_to_disk_as_often_as_the_settings_say(
    make_writer: MakeWriter, clock: Clock, monkeypatch: pytest.MonkeyPatch, seconds: float, syncs: int
) -> None:
    writer = make_writer(fsync_seconds=seconds)
    calls: list[int] = []
    monkeypatch.setattr(os, "fdatasync", calls.append)
    for _ in range(5):
        writer.append(BATCH)
        clock.pass_(0.5)
        if seconds:
            writer.tick()
    assert len(calls) == syncs


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    answers=st.lists(st.sampled_from(["all", "part", "full", "part then full"]), max_size=60),
    queue_lines=st.integers(0, 40),
)
def test_whatever_the_disk_answers_every_line_is_written_or_accounted_for(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    answers: list[str],
    queue_lines: int,
) -> None:
    directory, clock, real = tmp_path_factory.mktemp("log"), Clock(), os.write
    follower, followed = LogReader(directory).tail(), list[int]()
    script = list(reversed(answers))

    def write(fd: int, data: bytes) -> int:
        followed.extend(entry.sequence for entry in follower.entries())
        answer = script.pop() if script else "all"
        if answer == "full":
            raise OSError(errno.ENOSPC, "full")
        if answer == "part then full":
            script.append("full")
        return real(fd, data if answer == "all" else data[: len(data) // 2 + 1])

    made = LogSettings(
        dir=str(directory), group="", queue_bytes=queue_lines * 350, segment_bytes=3000, segment_seconds=0
    )
    writer = LogWriter(made, FACTS, wall_ns=clock.wall_ns, monotonic=clock.monotonic)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        writer.open()
        taken = 0
        for _ in range(12):
            taken += writer.append(BATCH[:7])
            clock.pass_(0.06)
            writer.tick()
        script.clear()
        clock.pass_(1)
        writer.tick()
        assert writer.close("done")
    kinds = kinds_of(directory)
    assert kinds.count("exec") == taken
    assert sequences_of(directory) == list(range(1, len(kinds) + 1))
    assert followed + [entry.sequence for entry in follower.entries()] == sequences_of(directory)
    lost = sum(loss["count"] for loss in own(directory, "loss"))
    assert lost == writer.health().dropped
    assert lost == 7 * 12 - taken + (kinds.count("start") == 0)


@pytest.mark.bench
def test_cost_of_an_append(log_dir: Path) -> None:
    head, tail = event("x" * 750)
    lines = [(head, tail)] * 512
    writer = LogWriter(LogSettings(dir=str(log_dir), group="", retention_bytes=1 << 28), FACTS)
    writer.open()
    costs = []
    for _ in range(400):
        begin = time.perf_counter_ns()
        assert writer.append(lines) == 512
        costs.append((time.perf_counter_ns() - begin) / 512)
        writer.tick()
    writer.close("done")
    costs.sort()
    print(
        f"\nappend: {costs[200]:.0f} ns per event (least {costs[0]:.0f}), {len(head + tail) + 6} bytes each"
    )
