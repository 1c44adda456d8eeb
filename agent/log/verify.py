# SPDX-License-Identifier: Apache-2.0
"""Whether the log is as it was written: every segment, in whatever form, and the order of them all.

Reads only, needs neither agent nor lock. What an agent does meanwhile (begin, compact, remove a segment) is
no fault: the manifest is read again before a segment is called missing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.errors import LogUnavailable
from agent.log.compaction import parquet_name
from agent.log.examine import Expected, Fault, HeadSeen, Progress, Seen, locate, look
from agent.log.fingerprint import fingerprint
from agent.log.manifest import MANIFEST_NAME, Closed, read_manifest
from agent.log.reader import LogReader
from agent.log.recovery import read_head
from agent.log.segments import SegmentName, list_segments
from agent.log.window import Window

Rebuild = Callable[[Path], Iterable[bytes]]
"""Gives the lines of a Parquet file with their newlines; raises ValueError when it is damaged."""


@dataclass(slots=True)
class Verdict:
    """What was found."""

    faults: list[Fault] = field(default_factory=list)
    """In the order of the log, those of the manifest first; of each file the first one. Empty: intact."""
    notes: list[str] = field(default_factory=list)
    """What is no fault and limits what was proved."""
    lines: int = 0
    bytes: int = 0
    """Lines and bytes of segments that were looked at."""
    counts: dict[str, int] = field(default_factory=dict)
    """Segments by what was found: `chained`, `compacted`, `expired`, `open`, `not_chained` (written by an
    older version), `skipped`, `broken`."""
    manifest_lines: int = 0
    manifest_head: str = ""
    """The chain's head now; a heartbeat holds the one of its time."""
    last_closed: Closed | None = None
    head_found: str = ""
    """Where the head that was asked for stands, in words; empty when none was, or when it is not there."""


@dataclass(slots=True)
class _Link:
    """The segment before."""

    name: str
    sha256: str = ""
    last_sequence: int | None = None
    boot_id: str = ""


def verify(
    directory: Path,
    *,
    head: str = "",
    since_ns: int | None = None,
    rebuild: Rebuild | None = None,
    progress: Progress = lambda _: None,
) -> Verdict:
    """Verifies a log. `head` is what a receiver has kept of a heartbeat: `chain.manifest` or `chain.sha256`.
    With `since_ns` (wall-clock nanoseconds) segments before it are not read. `rebuild` makes lines of Parquet
    files again, else only their hashes are compared.

    Raises LogUnavailable.
    """
    LogReader(directory).tail()  # raises LogUnavailable with the way out
    try:
        return _Verifier(directory, since_ns, rebuild, progress).run(head.lower())
    except OSError as error:
        raise LogUnavailable(
            f"cannot read {error.filename or directory}: {error.strerror}",
            "run as root or as a member of the log's group",
        ) from error


class _Verifier:
    def __init__(
        self, directory: Path, since_ns: int | None, rebuild: Rebuild | None, progress: Progress
    ) -> None:
        self._directory = directory
        self._rebuild = rebuild
        self._progress = progress
        self._live = list_segments(directory)  # before the manifest: what is closed meanwhile is listed there
        self._manifest = read_manifest(directory)
        self._wanted = set(Window(since_ns=since_ns).wanted(self._names()))
        self._before = _Link("")
        self._heads: list[tuple[SegmentName, HeadSeen]] = []
        self._hashes: dict[str, str] = {}
        self.verdict = Verdict()

    def run(self, head: str) -> Verdict:
        verdict, manifest = self.verdict, self._manifest
        verdict.manifest_lines, verdict.manifest_head = len(manifest.hashes), manifest.head
        verdict.last_closed = next(reversed(manifest.closed.values()), None)
        if manifest.first_bad:
            bad = manifest.first_bad
            verdict.faults.append(Fault(MANIFEST_NAME, bad.number, 0, bad.problem))
        names = self._names()
        for i, name in enumerate(names):
            self._segment(name, names[i + 1] if i + 1 < len(names) else None)
        self._check_heads()
        if head:
            self._find(head)
        return verdict

    def _names(self) -> list[SegmentName]:
        manifest = self._manifest
        listed = (*manifest.closed, *manifest.compacted, *manifest.expired)
        return sorted({*self._live, *(name for text in listed if (name := SegmentName.parse(text)))})

    # One segment

    def _segment(self, name: SegmentName, following: SegmentName | None) -> None:
        closed = self._manifest.closed.get(str(name))
        link = _Link(str(name))
        if closed is not None:
            link = _Link(str(name), closed.sha256, closed.last_sequence, closed.boot_id)
            self._hashes[closed.sha256] = f"segment {name}"
        if str(name) in self._manifest.expired:
            self._expired(name, link)
        elif str(name) in self._manifest.compacted:
            self._compacted(name, link)
        elif not self._lines(name, link, closed, following):
            self._gone(name, link)
        self._check_order(name, link)
        self._before = link

    def _expired(self, name: SegmentName, link: _Link) -> None:
        tombstone = self._manifest.expired[str(name)]
        self._count("expired")
        if link.sha256 and tombstone.sha256 != link.sha256:
            self._fault(MANIFEST_NAME, 0, 0, f"the tombstone of {name} has another hash than the segment")
        link.last_sequence = link.last_sequence or tombstone.last_sequence or None

    def _compacted(self, name: SegmentName, link: _Link) -> None:
        fact = self._manifest.compacted[str(name)]
        path = self._directory / parquet_name(str(name))
        if link.sha256 and fact.sha256 != link.sha256:
            self._fault(MANIFEST_NAME, 0, 0, f"{name} was compacted from lines of another hash")
        link.sha256, link.last_sequence = link.sha256 or fact.sha256, link.last_sequence or fact.last_sequence
        if name not in self._wanted:
            self._count("skipped")
            if not path.exists():
                self._gone(name, link)
            return
        try:
            whole = fingerprint(path)
        except FileNotFoundError:
            self._gone(name, link)
            return
        self._count("compacted")
        self.verdict.bytes += whole.bytes
        self._progress(whole.bytes)
        if whole.sha256 != fact.parquet_sha256:
            self._fault(fact.parquet, 0, 0, "was changed after it was compacted")
        elif self._rebuild is not None:
            self._check_rows(path, name, fact.sha256)

    def _check_rows(self, path: Path, name: SegmentName, sha256: str) -> None:
        assert self._rebuild is not None
        digest = hashlib.sha256()
        try:
            for line in self._rebuild(path):
                digest.update(line)
                self.verdict.lines += 1
        except ValueError as error:
            self._fault(parquet_name(str(name)), 0, 0, f"cannot be read: {error}")
            return
        if digest.hexdigest() != sha256:
            self._fault(parquet_name(str(name)), 0, 0, "its rows do not give the lines that were written")

    def _lines(
        self, name: SegmentName, link: _Link, closed: Closed | None, following: SegmentName | None
    ) -> bool:
        """False when the segment is not there."""
        path = self._directory / str(name)
        try:
            head = read_head(path)
            content = head["tracehound"]["segment"] if head else {}
            if name not in self._wanted:
                self._count("skipped")
                link.boot_id = link.boot_id or content.get("boot_id", "")
                return True
            seen = look(self._directory, name, self._progress)
            expected = Expected(closed.sha256, closed.lines) if closed else self._told_by(name, following)
            self._judge(name, link, seen, expected, following is None)
        except FileNotFoundError:
            return False
        link.boot_id = link.boot_id or content.get("boot_id", "")
        self._check_head(name, content)
        self._heads += [(name, one) for one in seen.heads]
        return True

    def _judge(
        self, name: SegmentName, link: _Link, seen: Seen, expected: Expected | None, newest: bool
    ) -> None:
        self.verdict.lines += seen.lines
        self.verdict.bytes += seen.bytes
        self._hashes[seen.sha256] = f"segment {name}"
        if expected is not None and seen.sha256 == expected.sha256 and not seen.torn_bytes:
            self._count("chained")
            link.sha256 = expected.sha256
            link.last_sequence = link.last_sequence or name.first_sequence + seen.lines - 1
            return
        located = locate(self._directory, name, expected)
        self.verdict.faults += located.faults
        link.last_sequence = link.last_sequence or located.last_sequence
        link.sha256 = expected.sha256 if expected else ""
        if located.faults:
            self._count("broken")
        elif newest:
            self._count("open")
            if seen.torn_bytes:
                torn = f"{seen.torn_bytes} bytes after the last record"
                self.verdict.notes.append(f"{name}: {torn}: it is being written, or the agent was killed")
        else:
            self._count("not_chained")

    def _told_by(self, name: SegmentName, following: SegmentName | None) -> Expected | None:
        """What the head of the next segment says; a segment is closed before the manifest says so."""
        if following is None:
            return None
        try:
            head = read_head(self._directory / str(following))
        except FileNotFoundError:
            return None
        content = head["tracehound"]["segment"] if head else {}
        if content.get("previous") != str(name) or "previous_sha256" not in content:
            return None
        return Expected(str(content["previous_sha256"]))

    def _gone(self, name: SegmentName, link: _Link) -> None:
        """Missing, unless the agent removed or compacted it while we looked."""
        now = read_manifest(self._directory)
        text = str(name)
        if text in now.expired and text not in self._manifest.expired:
            self._count("expired")
        elif text in now.compacted and text not in self._manifest.compacted:
            self._manifest.compacted[text] = now.compacted[text]
            self._compacted(name, link)
        else:
            self._count("broken")
            last = f" to {link.last_sequence}" if link.last_sequence else ""
            self._fault(text, 0, name.first_sequence, f"is gone: records {name.first_sequence}{last}")

    # The order

    def _check_head(self, name: SegmentName, content: dict[str, Any]) -> None:
        """Whether the first line goes on from the segment before."""
        before, told = self._before, content.get("previous_sha256", "")
        if before.name and content.get("previous", before.name) != before.name:
            other = content["previous"]
            self._fault(str(name), 1, name.first_sequence, f"goes on from {other}, which is not before it")
        elif told and before.sha256 and told != before.sha256:
            problem = f"holds another hash of {before.name} than the manifest"
            self._fault(str(name), 1, name.first_sequence, problem)

    def _check_order(self, name: SegmentName, link: _Link) -> None:
        before = self._before
        if not before.name or not before.boot_id or not link.boot_id:
            return
        expected = 1
        if before.boot_id == link.boot_id:
            if before.last_sequence is None:
                return
            expected = before.last_sequence + 1
        first = name.first_sequence
        if first > expected:
            self._fault(str(name), 1, first, f"records {expected} to {first - 1} are missing before it")
        elif first < expected and before.boot_id == link.boot_id:
            self._fault(str(name), 1, first, f"its numbers begin at {first}, {expected} was to come")

    def _check_heads(self) -> None:
        """Whether the manifest still holds what heartbeats have seen of it."""
        known = set(self._manifest.hashes) | set(read_manifest(self._directory).hashes)
        for name, seen in self._heads:
            if seen.manifest not in known:
                problem = f"a line is gone or changed that heartbeat {seen.sequence} in {name} has seen"
                self._fault(MANIFEST_NAME, 0, 0, problem)
                return

    def _find(self, head: str) -> None:
        lines = self._manifest.hashes
        if head in lines:
            number = lines.index(head) + 1
            self.verdict.head_found = f"line {number} of {len(lines)} of {MANIFEST_NAME}"
        elif head in self._hashes:
            self.verdict.head_found = self._hashes[head]
        else:
            problem = f"the head {head} is not in this log: it was cut, written anew, or is another one"
            self._fault(MANIFEST_NAME, 0, 0, problem)

    def _fault(self, file: str, line: int, sequence: int, problem: str) -> None:
        self.verdict.faults.append(Fault(file, line, sequence, problem))

    def _count(self, what: str) -> None:
        self.verdict.counts[what] = self.verdict.counts.get(what, 0) + 1
