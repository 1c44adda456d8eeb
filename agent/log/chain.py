# SPDX-License-Identifier: Apache-2.0
"""The chain of segments in the log directory: the open one, the closed ones, and the directory itself.

The first line of a segment holds the SHA-256 of the segment before, so that each hash covers all that came
before it; the manifest keeps them when the segments themselves are compacted or removed.
"""

from __future__ import annotations

import grp
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from agent.log.disk import SegmentFile, give_to_group, sync_directory
from agent.log.fingerprint import survey
from agent.log.kept import Kept
from agent.log.ledger import Ledger
from agent.log.lock import DirectoryLock
from agent.log.manifest import Closed, Manifest
from agent.log.marks import marks_path, write_marks
from agent.log.records import SegmentFacts, own_line, segment_content
from agent.log.recovery import Recovered
from agent.log.retention import ClosedSegment, Follower, Removal
from agent.log.segments import UNPUBLISHED, SegmentName, next_name
from agent.log.times import MILLISECOND_NS, parse_time
from agent.log.upkeep import Compactable, Upkeep
from agent.settings import LogSettings


class SegmentChain:
    """Files only: it knows neither queues nor the state of the disk; errors are raised as OSError."""

    def __init__(self, settings: LogSettings, facts: SegmentFacts) -> None:
        self.directory = Path(settings.dir)
        self.file: SegmentFile | None = None
        self.name: SegmentName | None = None
        self.last_name: SegmentName | None = None
        self.kept = Kept(self.directory)
        self.settings = settings
        self._facts = facts
        self._lock = DirectoryLock(self.directory)
        self._gid = _group_id(settings.group)
        self._ledger = Ledger(self.directory, self._gid)
        self.upkeep = Upkeep(self.directory, self.kept, self._ledger)
        self.finished: list[Removal] = []
        """What the last run had noted as removed, and `adopt` removed."""
        self._last_closed: Closed | None = None
        self._sync_error: OSError | None = None
        self._new_names = False
        self._seen_ms = 0

    def take_directory(self) -> None:
        """Makes the directory when it is absent and locks it. Raises OSError or AlreadyRunning."""
        try:
            self.directory.mkdir(mode=0o750, parents=True)
        except FileExistsError:
            pass
        else:
            self.directory.chmod(0o750)  # the umask may have taken the group's right
            self._give_directory()
        self._lock.take()

    def adopt(self, recovered: Recovered, now_ms: int) -> int:
        """Takes over the segments of the runs before; `now_ms` is wall-clock milliseconds.

        Returns the last sequence number of this boot that the manifest tells of, which may be in no segment
        any more; 0 when there is none. The segment that was open is read once to find its hash.
        """
        manifest = self._ledger.open()
        segments = [name for name in recovered.segments if str(name) not in manifest.expired]
        for name in _without_hash(segments, manifest):
            closed = survey(self.directory, name)
            self._ledger.note_closed(closed, now_ms * MILLISECOND_NS)
            manifest.closed[closed.segment] = closed
        self.kept.adopt(segments, manifest, now_ms)
        self.finished = self.upkeep.finish(manifest)
        self._last_closed = next(reversed(manifest.closed.values()), None)
        self.last_name = max(
            [*segments, *filter(None, map(SegmentName.parse, manifest.closed))], default=None
        )
        self._seen_ms = self.last_name.created_ms if self.last_name else 0
        if recovered.last is not None:
            self.saw(_time_of(recovered.last))
        boot_id = self._facts.boot_id
        numbers = (one.last_sequence for one in manifest.closed.values() if one.boot_id == boot_id)
        return max(numbers, default=0)

    def begin(self, sequence: int, wall_ns: int) -> SegmentFile:
        """Closes the open segment, if any, and begins a new one whose `segment` record has this number.

        Raises OSError; then everything is as it was before. The new file gets its name when its first
        line stands in it: readers take that name for the sign that the segment before is complete. What the
        name of the new one and the manifest say of the old one is on disk before they say it.
        """
        if self.file is not None:
            self._seal(self.file)
        name = next_name(wall_ns // MILLISECOND_NS, self._seen_ms, sequence)
        before = str(self.last_name) if self.last_name else None
        content = segment_content(self._facts, before, self._sha256_before())
        head, tail = own_line("segment", content, self._facts.node_name, wall_ns)
        file = SegmentFile(self.directory / f"{name}{UNPUBLISHED}", self._gid)
        try:
            error = file.append(b"%b%d%b" % (head, sequence, tail), 1)
            if error is not None:
                raise error
            file.rename(self.directory / str(name))
        except OSError:
            file.remove()
            raise
        self._retire(name.created_ms, wall_ns)
        self.file, self.name, self.last_name = file, name, name
        self._new_names = True
        self.saw(wall_ns)
        self._seen_ms = max(self._seen_ms, name.created_ms)
        return file

    def saw(self, wall_ns: int) -> None:
        """Notes the time (wall-clock nanoseconds): later segments sort after it, whatever the clock does."""
        self._seen_ms = max(self._seen_ms, wall_ns // MILLISECOND_NS)

    def abandon(self, wall_ns: int) -> None:
        """Lets go of an open segment that is not in the directory any more as it was written. The manifest
        says what it was (`wall_ns`: wall-clock nanoseconds)."""
        if self.file is not None and self.name is not None:
            self._note_closed(self.name, self.file, wall_ns)
            self.file.close()
        self.file = self.name = None

    def head(self) -> dict[str, object]:
        """The chain's end for heartbeats: who keeps it can prove later that nothing before it was changed.

        `manifest` is the hash of its last line, `segment` and `sha256` the last closed segment, `open` the
        bytes so far of the open one; what does not exist yet is left out.
        """
        head: dict[str, object] = {"manifest": self._ledger.head} if self._ledger.head else {}
        if self._last_closed is not None:
            head |= {"segment": self._last_closed.segment, "sha256": self._last_closed.sha256}
        if self.file is not None:
            head["open"] = {"segment": str(self.name), "bytes": self.file.size, "sha256": self.file.sha256}
        return head

    def sync(self) -> None:
        """Forces to disk what was written, names included. Raises OSError."""
        error, self._sync_error = self._sync_error, None
        with suppress(OSError):  # a full disk: the lines of the manifest wait
            self._ledger.flush()
        if self.file is not None:
            self.file.sync()
        if self._new_names:
            self._new_names = False
            sync_directory(self.directory)
        if error is not None:
            raise error

    def retain(
        self, now_ms: int, followers: Callable[[], Sequence[Follower]], compactable: Compactable
    ) -> list[Removal]:
        """Removes the closed segments that have to go (`now_ms`: wall-clock milliseconds)."""
        open_bytes = self.file.size if self.file is not None else 0
        return self.upkeep.retain(open_bytes, now_ms, self.settings, followers, compactable)

    def missing(self) -> list[ClosedSegment]:
        """Closed segments that somebody else removed; each is told once. Raises OSError."""
        return self.kept.missing(self.name)

    def finish(self, wall_ns: int) -> None:
        """Closes the open segment for good: everything is on disk. Raises OSError."""
        if self.file is not None:
            self.file.seal()
            self.abandon(wall_ns)

    def close(self) -> None:
        """Gives up file and lock, without a sync; an open segment stays open for the next run to find."""
        if self.file is not None:
            self.file.close()
        self.file = self.name = None
        self._lock.close()

    def _seal(self, file: SegmentFile) -> None:
        """Nothing comes after what is in the file, and that is on disk where the settings want it to be."""
        file.seal()
        if self.settings.fsync_seconds >= 0:
            try:
                file.sync()
            except OSError as error:
                self._sync_error = error  # told by the next `sync`; writing goes on

    def _sha256_before(self) -> str:
        """Hash of the segment before the one that is begun; empty when an older version wrote it."""
        if self.file is not None:
            return self.file.sha256
        closed = self._last_closed
        return closed.sha256 if closed is not None and closed.segment == str(self.last_name) else ""

    def _retire(self, closed_ms: int, wall_ns: int) -> None:
        if self.file is None or self.name is None:
            return
        closed = self._note_closed(self.name, self.file, wall_ns)
        self.kept.add(
            ClosedSegment(self.name, self.file.size, closed_ms, closed.last_sequence, closed.sha256)
        )
        self.file.close()

    def _note_closed(self, name: SegmentName, file: SegmentFile, wall_ns: int) -> Closed:
        closed = Closed(
            segment=str(name),
            first_sequence=name.first_sequence,
            last_sequence=name.first_sequence + file.lines - 1,
            lines=file.lines,
            bytes=file.size,
            sha256=file.sha256,
            boot_id=self._facts.boot_id,
            marks_sha256=write_marks(marks_path(self.directory, name), file.marks, self._gid),
        )
        self._last_closed = closed
        self._ledger.note_closed(closed, wall_ns)
        return closed

    def _give_directory(self) -> None:
        if self._gid is None:
            return
        fd = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            give_to_group(fd, self._gid)
        finally:
            os.close(fd)


def _without_hash(segments: Sequence[SegmentName], manifest: Manifest) -> list[SegmentName]:
    """Segments that were not closed in order: those after the last one of the manifest. Where there is no
    manifest, the newest alone: what an older version wrote before is not chained."""
    listed = [name for text in manifest.closed if (name := SegmentName.parse(text))]
    if not listed:
        return list(segments[-1:])
    return [name for name in segments if name > max(listed)]


def _time_of(record: Mapping[str, object]) -> int:
    try:
        return parse_time(str(record.get("time", "")))
    except ValueError:
        return 0


def _group_id(name: str) -> int | None:
    try:
        return grp.getgrnam(name).gr_gid if name else None
    except KeyError:
        return None
