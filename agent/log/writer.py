# SPDX-License-Identifier: Apache-2.0
"""The one writer of the event log.

Single-threaded: the agent's loop calls `append` with every batch and `tick` a few times a second. Lines
stand in the files in the order of the calls. Sequence numbers are given out when a line is written, so
they have no gaps, whatever was dropped before.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from agent.errors import AlreadyRunning, LogUnavailable
from agent.log.backlog import Backlog
from agent.log.chain import SegmentChain
from agent.log.disk import Condition, DiskState, Health, SegmentFile, state_of
from agent.log.manifest import Compaction
from agent.log.records import Line, SegmentFacts, loss_content, own_line
from agent.log.recovery import Recovered, recover
from agent.log.retention import Follower, Removal
from agent.log.timers import Timers
from agent.log.times import MILLISECOND_NS
from agent.log.upkeep import Compactable
from agent.settings import LogSettings

BATCH_LINES = 512
"""Lines written at once from the queue."""
_HINT = "run as root, or set log.dir to a directory that this user may write to"


class LogWriter:
    """Writes the log; docs/event-log.md says what it promises.

    `wall_ns` gives wall-clock nanoseconds, `monotonic` seconds that never go back; only tests pass others.
    `when_written` gets lines that stand in a file now and the number of the first; it raises nothing.
    `followers` tells how far exporters have read, when retention has to know; it raises nothing. Nor does
    `compactable`: whether a segment's lines are going to shrink (None: the open one's).
    """

    def __init__(
        self,
        settings: LogSettings,
        facts: SegmentFacts,
        *,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
        when_written: Callable[[Sequence[Line], int], None] | None = None,
        followers: Callable[[], Sequence[Follower]] = tuple,
        compactable: Compactable = lambda _: False,
    ) -> None:
        self.last_sequence = 0
        """Number of the last line that stands in a file; 0 before the first one of a boot."""
        self._settings = settings
        self._facts = facts
        self._wall_ns = wall_ns
        self._when_written = when_written
        self._followers = followers
        self._compactable = compactable
        self._timers = Timers(settings, wall_ns, monotonic)
        self._chain = SegmentChain(settings, facts)
        self._backlog = Backlog(settings.queue_bytes, self._queue_full_line)
        self._condition = Condition()
        self._is_open = False
        self._waiting = True  # lines go to the queue, because the disk refuses them

    def open(self, programs: Sequence[str] = ()) -> None:
        """Takes the directory over, repairs what the last run left torn, and writes `start`.

        `programs` are the names of the attached programs. Raises AlreadyRunning when another writer holds
        the directory and LogUnavailable when it cannot be used. A full disk is no reason not to start:
        the lines wait in memory.
        """
        try:
            self._chain.take_directory()
            recovered = recover(self._chain.directory, self._facts.boot_id)
            noted_sequence = self._chain.adopt(recovered, self._wall_ns() // MILLISECOND_NS)
        except OSError as error:
            self._chain.close()
            raise self._unavailable(str(error)) from error
        self.last_sequence = max(recovered.last_sequence, noted_sequence)
        self._put_opening_records(recovered, programs)
        self._is_open = True
        self._catch_up()
        if self._condition.state not in (DiskState.OK, DiskState.DISK_FULL):
            self._is_open = False
            self._chain.close()
            raise self._unavailable(self._condition.error)

    def append(self, lines: Sequence[Line]) -> int:
        """Writes a batch of events, each given as what stands before and after its sequence number.

        The head ends with `"tracehound":{"sequence":`, the tail with a newline; no other newline is in
        them. Returns how many were written or queued; the others are dropped and counted. Never raises
        for what the disk does.
        """
        file = self._chain.file
        if self._waiting or file is None or self._is_full(file):
            return self._append_slowly(lines)
        written, error = self._write(file, lines)
        if error is not None:
            self._refused(error)
            return written + self._backlog.put(lines[written:], self._wall_ns())
        if self._settings.fsync_seconds == 0:
            self._sync()
        return written

    def record(self, kind: str, content: Mapping[str, object], time_ns: int | None = None) -> None:
        """Writes an own record; `time_ns` is wall-clock nanoseconds, None for now."""
        now_ns = self._wall_ns()
        line = own_line(kind, content, self._facts.node_name, now_ns if time_ns is None else time_ns)
        if self._waiting:
            self._backlog.put_own(line, now_ns)
        else:
            self.append([line])

    def tick(self) -> list[Removal]:
        """Does what is due by time: retries, rotation, sync, retention. Call it every 0.1 to 1 s.

        Returns the segments that retention removed; their `retention` records are written already.
        """
        if not self._is_open:
            return []
        self._look_after_file()
        self._rotate_by_time()
        if self._waiting and self._timers.retry_due():
            self._catch_up()
        if self._timers.sync_due():
            self._sync()
        if self._timers.audit_due():
            self._audit()
        removals = self._chain.retain(self._timers.retention_ms(), self._followers, self._compactable)
        for removal in removals:
            self.record("retention", removal.content())
        return removals

    def publish_compacted(self, compaction: Compaction) -> None:
        """Puts `store/<name>.parquet.new`, which a compactor finished and synced, in the place of a closed
        segment: gives it its name and notes it in the manifest. The lines go with the next `tick` after
        exporters have read them.

        Raises CompactionRefused when the file does not stand for the segment, OSError when the disk refuses;
        then nothing has changed.
        """
        if not self._is_open:
            raise RuntimeError("the log is not open")
        self._chain.upkeep.publish(compaction, self._wall_ns())

    def chain_head(self) -> dict[str, object]:
        """The end of the chain of hashes, for heartbeats."""
        return self._chain.head()

    def change(self, settings: LogSettings) -> None:
        """Other limits and intervals from now on; the directory and its group stay as they are."""
        self._settings = self._timers.settings = self._chain.settings = settings
        self._backlog.limit_bytes = settings.queue_bytes

    @property
    def is_writing(self) -> bool:
        """Whether the next line goes to the file at once; else it waits in memory."""
        return self._is_open and not self._waiting

    @property
    def dropped(self) -> int:
        """Lines lost since the writer was opened because the queue was full."""
        return self._backlog.dropped

    def health(self) -> Health:
        """Whether lines reach the disk, and what waits in memory."""
        condition, backlog = self._condition, self._backlog
        return Health(
            state=condition.state,
            since_ns=condition.since_ns,
            queued=len(backlog),
            queued_bytes=backlog.bytes,
            dropped=backlog.dropped,
            error=condition.error,
        )

    def close(self, reason: str, counts: Mapping[str, object] | None = None) -> bool:
        """Writes `stop` (`counts` holds `events` and `lost`), forces everything to disk and lets go.

        Returns whether that worked; the next run finds out by itself when it did not.
        """
        if not self._is_open:
            return False
        self.record("stop", {"reason": reason, **(counts or {})})
        if self._waiting:
            self._catch_up()
        self._sync()
        clean = not self._waiting and self._condition.state is DiskState.OK
        if clean:
            with suppress(OSError):
                self._chain.finish(self._wall_ns())
        self._chain.close()
        self._is_open, self._waiting = False, True
        return clean

    # The way of a line

    def _write(self, file: SegmentFile, lines: Sequence[Line]) -> tuple[int, OSError | None]:
        first = self.last_sequence + 1
        numbers = " ".join(map(str, range(first, first + len(lines)))).encode().split()
        pieces = [
            piece
            for (head, tail), number in zip(lines, numbers, strict=True)
            for piece in (head, number, tail)
        ]
        before = file.lines
        error = file.append(b"".join(pieces), len(lines))
        written = file.lines - before
        self.last_sequence += written
        if self._when_written and written:
            self._when_written(lines[:written], self.last_sequence - written + 1)
        return written, error

    def _append_slowly(self, lines: Sequence[Line]) -> int:
        if not self._is_open:
            raise RuntimeError("the log is not open")
        if not self._waiting or self._timers.retry_due():
            self._catch_up()
        if self._waiting:
            return self._backlog.put(lines, self._wall_ns())
        return self.append(lines)

    def _catch_up(self) -> None:
        """Makes a segment ready and writes what waits; the waiting ends when all of it is written."""
        backlog = self._backlog
        try:
            file = self._ready_file()
            while backlog.pending:
                if not backlog:
                    backlog.close_gap()
                written, error = self._write(file, backlog.head(BATCH_LINES))
                backlog.discard(written)
                if error is not None:
                    raise error
                file = self._ready_file()
        except OSError as error:
            self._refused(error)
        except AlreadyRunning as error:
            self._wait(DiskState.VANISHED, error.message)
        else:
            self._waiting = False
            self._condition.works()

    def _ready_file(self) -> SegmentFile:
        file = self._chain.file
        if file is None:
            self._chain.take_directory()
            return self._begin()
        return self._begin() if self._is_full(file) else file

    def _is_full(self, file: SegmentFile) -> bool:
        return file.size >= self._settings.segment_bytes and file.lines > 1

    def _begin(self) -> SegmentFile:
        file = self._chain.begin(self.last_sequence + 1, self._wall_ns())
        self.last_sequence += 1
        self._timers.segment_begun()
        return file

    # Trouble and housekeeping

    def _refused(self, error: OSError) -> None:
        self._wait(state_of(error), str(error))

    def _wait(self, state: DiskState, error: str) -> None:
        self._waiting = True
        self._condition.failed(state, error, self._wall_ns())

    def _look_after_file(self) -> None:
        file, name = self._chain.file, self._chain.name
        if file is None or name is None or not file.is_lost():
            return
        missing, now_ns = file.missing_lines(), self._wall_ns()
        self._chain.abandon(now_ns)
        if missing:
            content = _gap_content(missing, name.created_ms, now_ns)
            self._backlog.put_first([own_line("loss", content, self._facts.node_name, now_ns)])
        self._wait(DiskState.VANISHED, f"{file.path} was removed, replaced or cut")

    def _rotate_by_time(self) -> None:
        self._chain.saw(self._wall_ns())
        due = self._timers.clock_went_back() or self._timers.segment_is_old()
        file = self._chain.file
        if not due or self._waiting or file is None or file.lines <= 1:
            return
        try:
            self._begin()
        except OSError as error:
            self._refused(error)

    def _sync(self) -> None:
        try:
            self._chain.sync()
        except OSError as error:
            self._condition.failed(state_of(error), f"sync: {error}", self._wall_ns())
        else:
            if not self._waiting:
                self._condition.works()

    def _audit(self) -> None:
        try:
            gone = self._chain.missing()
        except OSError:
            return  # the directory is away; that is noticed by the open segment
        for segment in gone:
            count = (segment.last_sequence or 0) - segment.name.first_sequence + 1
            content = _gap_content(count, segment.name.created_ms, segment.closed_ms * MILLISECOND_NS)
            self.record("loss", content)

    # Records about the log itself

    def _put_opening_records(self, recovered: Recovered, programs: Sequence[str]) -> None:
        now_ns, facts = self._wall_ns(), self._facts
        if recovered.unclean:
            content = {
                "last_sequence": recovered.last_record_sequence,
                "last_time": (recovered.last or {}).get("time", ""),
                "torn_bytes": recovered.torn_bytes,
                "same_boot": recovered.same_boot,
                "window_seconds": self._settings.fsync_seconds,
            }
            self._backlog.put_own(own_line("unclean_shutdown", content, facts.node_name, now_ns), now_ns)
        for removal in self._chain.finished:
            line = own_line("retention", removal.content(), facts.node_name, now_ns)
            self._backlog.put_own(line, now_ns)
        start = {
            "pid": os.getpid(),
            "version": facts.version,
            "kernel": facts.kernel,
            "previous_sequence": recovered.last_sequence,
            "programs": list(programs),
        }
        self._backlog.put_own(own_line("start", start, facts.node_name, now_ns), now_ns)

    def _queue_full_line(self, count: int, from_ns: int, to_ns: int) -> Line:
        content = loss_content("queue_full", count, from_ns, to_ns)
        return own_line("loss", content, self._facts.node_name, to_ns)

    def _unavailable(self, why: str) -> LogUnavailable:
        return LogUnavailable(f"cannot write the log in {self._settings.dir}: {why}", _HINT)


def _gap_content(count: int, from_ms: int, to_ns: int) -> dict[str, object]:
    return loss_content("log_gap", count, from_ms * MILLISECOND_NS, to_ns)
