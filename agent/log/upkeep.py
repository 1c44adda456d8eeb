# SPDX-License-Identifier: Apache-2.0
"""What becomes of closed segments: a Parquet file takes their place, and one day they are removed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from agent.log.compaction import CompactionRefused, check, parquet_name, publish
from agent.log.disk import DiskState, state_of
from agent.log.fingerprint import fingerprint
from agent.log.kept import Kept
from agent.log.ledger import Ledger
from agent.log.manifest import Closed, Compaction, Expired, Manifest
from agent.log.marks import strays
from agent.log.recovery import read_end
from agent.log.retention import ClosedSegment, Doomed, Follower, Removal, expired, superfluous
from agent.log.segments import SegmentName, list_segments
from agent.log.times import MILLISECOND_NS
from agent.settings import LogSettings

Compactable = Callable[[SegmentName | None], bool]
"""Whether the lines of a segment are going to be compacted, as far as is known; None: the open one."""

TRIM_AT = 100


class Upkeep:
    """Belongs to who holds the directory. Times are wall-clock."""

    def __init__(self, directory: Path, kept: Kept, ledger: Ledger) -> None:
        self._directory = directory
        self._kept = kept
        self._ledger = ledger
        self._tombstones: set[SegmentName] = set()
        """Segments that the manifest calls expired, though they could not be removed yet."""
        self._since_trim = TRIM_AT
        """Removals since the manifest was looked at; the first one of a run counts for many."""

    def finish(self, manifest: Manifest) -> list[Removal]:
        """Removes what the last run had noted as removed and did not come to remove, which it returns, and
        Parquet files that have their name and no line in the manifest: their segments are compacted again."""
        for one in self._kept:
            if not one.parquet_bytes:
                with suppress(OSError):
                    (self._directory / parquet_name(str(one.name))).unlink()
        removals = []
        for segment, tombstone in manifest.expired.items():
            if SegmentName.parse(segment) is None:
                continue  # a name that leads elsewhere
            forms = [self._directory / segment, self._directory / parquet_name(segment)]
            if sum(map(_unlinked, forms)):
                _, reason, _, first, last, size, unread_by = tombstone
                removals.append(Removal(segment, first, last, size, reason, unread_by))
        for path in strays(self._directory, {str(name) for name in list_segments(self._directory)}):
            _unlinked(path)
        return removals

    def publish(self, compaction: Compaction, wall_ns: int) -> None:
        """Puts a Parquet file in the place of a closed segment; the lines go with the next `retain`.

        Raises CompactionRefused when the file does not stand for the segment, OSError for what the disk does.
        """
        segment = self._kept.find(compaction.segment)
        if segment is None:
            raise CompactionRefused(f"{compaction.segment} is not a closed segment of this log")
        if segment.parquet_bytes:
            raise CompactionRefused(f"{compaction.segment} is compacted already")
        check(compaction, self._closed(segment))
        size = publish(self._directory, self._ledger, compaction, wall_ns)
        self._kept.change(segment, segment._replace(parquet_bytes=size))

    def retain(
        self,
        open_bytes: int,
        now_ms: int,
        settings: LogSettings,
        followers: Callable[[], Sequence[Follower]],
        compactable: Compactable,
    ) -> list[Removal]:
        """Removes lines that nobody needs any more, then the segments that have to go, in whatever form.

        `open_bytes` is the size of the open segment. `followers` and `compactable` are asked when there is
        something to decide.
        """
        kept, around = self._kept, open_bytes + self._kept.other_bytes()
        if any(segment.size and segment.parquet_bytes for segment in kept):
            for segment in list(superfluous(kept, kept.bytes + around, settings, followers())):
                with suppress(OSError):  # read-only: tried again with the next call
                    kept.unlink_lines(segment)
        total = kept.bytes + around
        if next(expired(kept, total, now_ms, settings), None) is None:
            return []
        closed = [self._settling(self._numbered(segment), compactable) for segment in kept]
        settled = around + sum(segment.settled for segment in closed)
        if compactable(None):
            settled += kept.packing.estimate(open_bytes) - open_bytes
        doomed = list(expired(closed, total, now_ms, settings, followers(), settled))
        return self._remove(doomed, now_ms * MILLISECOND_NS)

    def _remove(self, doomed: Sequence[Doomed], wall_ns: int) -> list[Removal]:
        new = [one for one in doomed if one.segment.name not in self._tombstones]
        try:
            self._ledger.note_expired([_tombstone(one) for one in new], wall_ns)
        except OSError as error:
            if state_of(error) is not DiskState.DISK_FULL:
                self._ledger.forget_expired()
                return []
        self._tombstones.update(one.segment.name for one in new)
        self._trim(len(new), wall_ns)
        removals = []
        for one in doomed:
            try:
                self._kept.unlink(one.segment)
            except OSError:
                break
            self._tombstones.discard(one.segment.name)
            self._kept.remove(one.segment.name)
            removals.append(_removal(one))
        return removals

    def _trim(self, expired: int, wall_ns: int) -> None:
        """Every TRIM_AT removals the manifest is looked at."""
        self._since_trim += expired
        if self._since_trim >= TRIM_AT:
            self._since_trim = 0
            with suppress(OSError):  # a full disk: it is tried again later
                self._ledger.trim(wall_ns)

    def _numbered(self, segment: ClosedSegment) -> ClosedSegment:
        if segment.last_sequence is not None:
            return segment
        with suppress(OSError):
            return segment._replace(last_sequence=read_end(self._directory / str(segment.name)).sequence)
        return segment

    def _settling(self, segment: ClosedSegment, compactable: Compactable) -> ClosedSegment:
        """With the bytes that it is going to take."""
        if segment.parquet_bytes:
            return segment._replace(settles_at=segment.parquet_bytes)
        if compactable(segment.name):
            return segment._replace(settles_at=self._kept.packing.estimate(segment.size))
        return segment

    def _closed(self, segment: ClosedSegment) -> Closed:
        """What the segment was when it was closed; for one of an older version, what it is now."""
        name = segment.name
        if segment.sha256 and segment.last_sequence is not None:
            last = segment.last_sequence
            lines = last - name.first_sequence + 1
            return Closed(str(name), name.first_sequence, last, lines, segment.size, segment.sha256, "")
        whole, last = fingerprint(self._directory / str(name)), self._numbered(segment).last_sequence or 0
        return Closed(str(name), name.first_sequence, last, whole.lines, whole.bytes, whole.sha256, "")


def _unlinked(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:
        return False
    return True


def _tombstone(doomed: Doomed) -> Expired:
    segment = doomed.segment
    return Expired(
        segment=str(segment.name),
        reason=doomed.reason,
        sha256=segment.sha256,
        first_sequence=segment.name.first_sequence,
        last_sequence=segment.last_sequence or 0,
        bytes=segment.total,
        unread_by=dict(doomed.unread_by),
    )


def _removal(doomed: Doomed) -> Removal:
    segment = doomed.segment
    last = segment.last_sequence or 0
    name = segment.name
    return Removal(str(name), name.first_sequence, last, segment.total, doomed.reason, doomed.unread_by)
