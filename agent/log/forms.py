# SPDX-License-Identifier: Apache-2.0
"""One segment of the log in whatever form it is: lines, a Parquet file, a tombstone, or nothing at all."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from functools import partial
from pathlib import Path

from agent.log.compaction import parquet_name
from agent.log.examine import Expected, HeadSeen, Progress, Seen, locate, look
from agent.log.fingerprint import fingerprint
from agent.log.manifest import MANIFEST_NAME, Closed, Manifest, read_manifest
from agent.log.order import head_fault
from agent.log.records import OWN_HEAD
from agent.log.recovery import read_head
from agent.log.segments import SegmentName
from agent.log.tombstones import Removals
from agent.log.verdict import Link, Rebuild, Verdict


class Forms:
    """Compares segments with the manifest, one after the other, oldest first. Raises OSError."""

    def __init__(
        self,
        directory: Path,
        manifest: Manifest,
        verdict: Verdict,
        rebuild: Rebuild | None,
        progress: Progress,
    ) -> None:
        self.heads: list[tuple[SegmentName, HeadSeen]] = []
        """What heartbeats have seen of the manifest, and the segment in which they stand."""
        self.hashes: dict[str, str] = {}
        """What each hash is of, in words."""
        self.removals = Removals()
        self._directory, self._manifest, self._verdict = directory, manifest, verdict
        self._rebuild, self._progress = rebuild, progress
        self._kept = ""
        """The oldest segment that was closed and did not expire: retention removes none after it."""

    def check(
        self, name: SegmentName, before: Link, following: SegmentName | None, wanted: Collection[SegmentName]
    ) -> Link:
        """Notes what is wrong with a segment; those that are not `wanted` are not read."""
        closed = self._manifest.closed.get(str(name))
        link = Link(str(name))
        if closed is not None:
            link = Link(str(name), closed.sha256, closed.last_sequence, closed.boot_id)
            self.hashes[closed.sha256] = f"segment {name}"
        is_wanted = name in wanted
        if str(name) in self._manifest.expired:
            self._expired(name, link)
            return link
        if closed is not None and not self._kept and self._is_there(name):
            self._kept = str(name)
        if str(name) in self._manifest.compacted:
            self._compacted(name, link, is_wanted)
        elif not self._lines(name, link, before, closed, following, is_wanted):
            self._gone(name, link, is_wanted)
        return link

    def _look(self, name: SegmentName) -> Seen:
        self.removals.look(name, b"")
        return look(self._directory, name, self._progress, partial(self.removals.look, name))

    def _is_there(self, name: SegmentName) -> bool:
        return any((self._directory / one).exists() for one in (str(name), parquet_name(str(name))))

    def _expired(self, name: SegmentName, link: Link) -> None:
        tombstone = self._manifest.expired[str(name)]
        self._verdict.count("expired")
        if self._kept:
            problem = f"the tombstone of {name} is not retention's: {self._kept} is older and was kept"
            self._verdict.fault(MANIFEST_NAME, 0, name.first_sequence, problem)
        if link.sha256 and tombstone.sha256 != link.sha256:
            self._verdict.fault(
                MANIFEST_NAME, 0, 0, f"the tombstone of {name} has another hash than the segment"
            )
        link.last_sequence = link.last_sequence or tombstone.last_sequence or None

    def _compacted(self, name: SegmentName, link: Link, is_wanted: bool) -> None:
        fact = self._manifest.compacted[str(name)]
        path = self._directory / parquet_name(str(name))
        if link.sha256 and fact.sha256 != link.sha256:
            self._verdict.fault(MANIFEST_NAME, 0, 0, f"{name} was compacted from lines of another hash")
        link.sha256, link.last_sequence = link.sha256 or fact.sha256, link.last_sequence or fact.last_sequence
        if not is_wanted:
            self._verdict.count("skipped")
            if not path.exists():
                self._gone(name, link, is_wanted)
            return
        try:
            whole = fingerprint(path)
        except FileNotFoundError:
            self._gone(name, link, is_wanted)
            return
        self._verdict.count("compacted")
        self._verdict.bytes += whole.bytes
        self._progress(whole.bytes)
        if whole.sha256 != fact.parquet_sha256:
            self._verdict.fault(fact.parquet, 0, 0, "was changed after it was compacted")
        elif self._rebuild is not None:
            self._check_rows(path, name, fact.sha256)
        self._check_lines_beside(name, fact.sha256)

    def _check_lines_beside(self, name: SegmentName, sha256: str) -> None:
        """Lines that wait for an exporter beside their Parquet file: it would send them as they are."""
        try:
            seen = self._look(name)
            self._verdict.bytes += seen.bytes
            if seen.sha256 != sha256 or seen.torn_bytes:
                closed = self._manifest.closed.get(str(name))
                expected = _expected(closed) if closed else Expected(sha256)
                self._verdict.faults += locate(self._directory, name, expected).faults
        except FileNotFoundError:
            return
        self.heads += [(name, one) for one in seen.heads]

    def _check_rows(self, path: Path, name: SegmentName, sha256: str) -> None:
        assert self._rebuild is not None
        digest = hashlib.sha256()
        try:
            for line in self._rebuild(path):
                digest.update(line)
                self._verdict.lines += 1
                if line.startswith(OWN_HEAD):
                    self.removals.look(name, line)
        except ValueError as error:
            self._verdict.fault(parquet_name(str(name)), 0, 0, f"cannot be read: {error}")
            return
        if digest.hexdigest() != sha256:
            self._verdict.fault(
                parquet_name(str(name)), 0, 0, "its rows do not give the lines that were written"
            )

    def _lines(
        self,
        name: SegmentName,
        link: Link,
        before: Link,
        closed: Closed | None,
        following: SegmentName | None,
        is_wanted: bool,
    ) -> bool:
        """False when the segment is not there."""
        path = self._directory / str(name)
        try:
            head = read_head(path)
            content = head["tracehound"]["segment"] if head else {}
            if not is_wanted:
                self._verdict.count("skipped")
                link.boot_id = link.boot_id or content.get("boot_id", "")
                return True
            seen = self._look(name)
            expected = _expected(closed) if closed else self._told_by(name, following)
            self._judge(name, link, seen, expected, following is None)
        except FileNotFoundError:
            return False
        link.boot_id = link.boot_id or content.get("boot_id", "")
        fault = head_fault(before, name, content)
        self._verdict.faults += [fault] if fault else []
        self.heads += [(name, one) for one in seen.heads]
        return True

    def _judge(
        self, name: SegmentName, link: Link, seen: Seen, expected: Expected | None, newest: bool
    ) -> None:
        self._verdict.lines += seen.lines
        self._verdict.bytes += seen.bytes
        self.hashes[seen.sha256] = f"segment {name}"
        if expected is not None and seen.sha256 == expected.sha256 and not seen.torn_bytes:
            self._verdict.count("chained")
            link.sha256 = expected.sha256
            link.last_sequence = link.last_sequence or name.first_sequence + seen.lines - 1
            return
        located = locate(self._directory, name, expected)
        self._verdict.faults += located.faults
        link.last_sequence = link.last_sequence or located.last_sequence
        link.sha256 = expected.sha256 if expected else ""
        if located.faults:
            self._verdict.count("broken")
        elif newest:
            self._verdict.count("open")
            if seen.torn_bytes:
                torn = f"{seen.torn_bytes} bytes after the last record"
                self._verdict.notes.append(f"{name}: {torn}: it is being written, or the agent was killed")
        else:
            self._verdict.count("not_chained")

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

    def _gone(self, name: SegmentName, link: Link, is_wanted: bool) -> None:
        """Missing, unless the agent removed or compacted it while we looked."""
        now = read_manifest(self._directory)
        text = str(name)
        if text in now.expired and text not in self._manifest.expired:
            self._verdict.count("expired")
        elif text in now.compacted and text not in self._manifest.compacted:
            self._manifest.compacted[text] = now.compacted[text]
            self._compacted(name, link, is_wanted)
        else:
            self._verdict.count("broken")
            last = f" to {link.last_sequence}" if link.last_sequence else ""
            self._verdict.fault(text, 0, name.first_sequence, f"is gone: records {name.first_sequence}{last}")


def _expected(closed: Closed) -> Expected:
    return Expected(closed.sha256, closed.lines, closed.marks_sha256)
