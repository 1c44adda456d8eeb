# SPDX-License-Identifier: Apache-2.0
"""`LOGDIR/manifest.jsonl`: what became of every closed segment, as a chain of lines.

One JSON object per line: `previous` (SHA-256 of the whole line before, newline included; empty in the first
one), `time`, and one key that names what happened: `closed`, `compacted` or `expired`. Lines are only ever
appended, by who holds the lock of the directory (agent/log/ledger.py); anybody may read. So a line cannot be
changed, removed or inserted without all hashes after it changing, the last of which goes out with heartbeats.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Self

import orjson

from agent.log.times import format_time

MANIFEST_NAME = "manifest.jsonl"


class Closed(NamedTuple):
    """A segment that nothing is written to any more, as it was when it was closed."""

    segment: str
    """Its file name."""
    first_sequence: int
    last_sequence: int
    """Numbers of its first and last line; between them there is no hole."""
    lines: int
    bytes: int
    sha256: str
    """Of all its bytes, as hexadecimal digits. The first line holds the hash of the segment before."""
    boot_id: str
    """Boot that the numbers belong to; empty when the first line was damaged."""
    marks_sha256: str = ""
    """Of its file of marks (agent/log/marks.py); empty when it has none."""


class Compacted(NamedTuple):
    """The lines of a segment stand in a Parquet file now."""

    segment: str
    sha256: str
    """Of the lines that went into it: the one of the closed segment."""
    parquet: str
    """Its path below the log directory: `store/<name>.parquet`."""
    parquet_sha256: str
    rows: int
    """One per line."""
    first_sequence: int
    last_sequence: int


class Expired(NamedTuple):
    """A tombstone: retention removed the segment, in whatever form it was."""

    segment: str
    reason: str
    """`size`, `hard_size` (though a required exporter had not read it) or `age`."""
    sha256: str
    """Of the closed segment; empty when it was written before segments were chained."""
    first_sequence: int
    last_sequence: int
    """0 when it could not be read."""
    bytes: int
    """Room on disk that it took, in its last form."""
    unread_by: Mapping[str, int] = MappingProxyType({})
    """How many of its lines each required exporter had not read; those that had read all are left out."""


class Trimmed(NamedTuple):
    """The first lines of the manifest were taken out: they were about segments that are long gone."""

    lines: int
    """Lines that were taken out so far, by this and all earlier times."""
    segments: int
    """Segments that those of this time were about."""
    head: str
    """SHA-256 of the last of them: the first line that is left goes on from it."""


Fact = Closed | Compacted | Expired | Trimmed
KEPT = 64
"""Tombstones of the last segments that are never taken out."""
_TEXTS = frozenset(
    {"segment", "sha256", "boot_id", "parquet", "parquet_sha256", "reason", "head", "marks_sha256"}
)
_KINDS: dict[str, type[Fact]] = {
    "closed": Closed,
    "compacted": Compacted,
    "expired": Expired,
    "trimmed": Trimmed,
}


class BadLine(NamedTuple):
    """A line of the manifest that is not as it was written."""

    number: int
    """Counted from 1."""
    problem: str


@dataclass(slots=True)
class Manifest:
    """What the manifest tells, as far as it can be read."""

    closed: dict[str, Closed] = field(default_factory=dict)
    """By file name of the segment, oldest first; so are the others."""
    compacted: dict[str, Compacted] = field(default_factory=dict)
    expired: dict[str, Expired] = field(default_factory=dict)
    hashes: list[str] = field(default_factory=list)
    """SHA-256 of every whole line, in order."""
    open_then: dict[str, str] = field(default_factory=dict)
    """Of segments that expired, which one was open when their tombstone was written, where that is closed by
    now."""
    size: int = 0
    """Bytes of all whole lines."""
    torn_bytes: int = 0
    """Bytes of a last line that is not whole: it is being written, or the writer was killed."""
    first_bad: BadLine | None = None
    """The first line that was changed, or before which one is missing."""
    begins_after: str = ""
    """Hash of the line before the first one, where lines were taken out."""
    trims: list[Trimmed] = field(default_factory=list)

    _buried: list[str] = field(default_factory=list)
    """Those of which the segment that was open is not closed yet."""

    @property
    def head(self) -> str:
        """SHA-256 of the last line; empty when there is none."""
        return self.hashes[-1] if self.hashes else ""

    def take(self, line: bytes) -> None:
        """Takes in the next whole line."""
        fact, before, problem = _parse(line)
        if not problem and before != self.head:
            if self.hashes:
                problem = _ELSEWHERE
            else:
                self.begins_after = before
        self.hashes.append(line_hash(line))
        self.size += len(line)
        if problem and self.first_bad is None:
            self.first_bad = BadLine(len(self.hashes), problem)
        if isinstance(fact, Closed):
            self.closed[fact.segment] = fact
            self.open_then.update(dict.fromkeys(self._buried, fact.segment))
            self._buried.clear()
        elif isinstance(fact, Compacted):
            self.compacted[fact.segment] = fact
        elif isinstance(fact, Expired):
            self.expired[fact.segment] = fact
            self._buried.append(fact.segment)
        elif isinstance(fact, Trimmed):
            self.trims.append(fact)

    def end(self) -> None:
        """All lines were taken in: whether it may begin as it does."""
        if not self.begins_after or (self.first_bad is not None and self.first_bad.number == 1):
            return
        if all(fact.head != self.begins_after for fact in self.trims):
            self.first_bad = BadLine(1, _BEHEADED)
        elif len(self.expired) < KEPT:
            self.first_bad = BadLine(
                1, f"goes on from lines that were taken out, fewer than {KEPT} segments ago"
            )


class Compaction(NamedTuple):
    """What a compactor says of one segment, as one JSON object: `{"segment","sha256","parquet_sha256",
    "rows","first_sequence","last_sequence"}`."""

    segment: str
    sha256: str
    """Of the lines that it read."""
    parquet_sha256: str
    """Of the file that it wrote, synced to disk, as `store/<name>.parquet.new`."""
    rows: int
    first_sequence: int
    last_sequence: int

    @classmethod
    def parse(cls, text: str | bytes) -> Self:
        """Raises ValueError when the text is no such object."""
        try:
            content = orjson.loads(text)
            return cls(**{name: kind(content[name]) for name, kind in _COMPACTION.items()})
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"not the account of a compaction: {text!r:.200} ({error})") from None


_COMPACTION: dict[str, type[Any]] = {
    "segment": str,
    "sha256": str,
    "parquet_sha256": str,
    "rows": int,
    "first_sequence": int,
    "last_sequence": int,
}


def read_manifest(directory: Path) -> Manifest:
    """Reads all that can be read; a directory without a manifest gives an empty one. Raises OSError."""
    manifest = Manifest()
    try:
        with (directory / MANIFEST_NAME).open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    manifest.take(line)
                else:
                    manifest.torn_bytes = len(line)
    except FileNotFoundError:
        pass
    manifest.end()
    return manifest


def manifest_line(fact: Fact, previous: str, wall_ns: int) -> bytes:
    """A fact as a line; `previous` is the hash of the line before, `wall_ns` wall-clock nanoseconds."""
    kind = next(name for name, cls in _KINDS.items() if isinstance(fact, cls))
    content = {key: value for key, value in fact._asdict().items() if value != "" and key != "unread_by"}
    if isinstance(fact, Expired) and fact.unread_by:
        content["unread_by"] = dict(fact.unread_by)
    return orjson.dumps({"previous": previous, "time": format_time(wall_ns), kind: content}) + b"\n"


def line_hash(line: bytes) -> str:
    """SHA-256 of a line with its newline, as `sed -n 3p manifest.jsonl | sha256sum` prints it."""
    return hashlib.sha256(line).hexdigest()


def fact_of(line: bytes) -> Fact | None:
    """What a line tells; None for a kind of a later version, and for what is no line."""
    return _parse(line)[0]


_ELSEWHERE = "does not go on from the line before: that one was changed, or lines between were removed"
_BEHEADED = "is the first line, and goes on from another: the manifest was removed, or its beginning"


def _parse(line: bytes) -> tuple[Fact | None, str, str]:
    """What a line tells, from which hash it goes on, and what is wrong with it (empty: nothing)."""
    try:
        record = orjson.loads(line)
        before = str(record["previous"])
        fact = next((_fact(cls, record[kind]) for kind, cls in _KINDS.items() if kind in record), None)
    except (ValueError, TypeError, KeyError):
        return None, "", "is not a line of a manifest"
    return fact, before, ""


def _fact(cls: type[Fact], content: dict[str, Any]) -> Fact:
    """Raises KeyError or TypeError when something is missing or of another type."""
    if not isinstance(content, dict):
        raise TypeError(f"not an object: {content!r}")
    for key, value in content.items():
        if isinstance(value, str) != (key in _TEXTS):
            raise TypeError(f"{key}: {value!r}")
    absent: dict[str, Any] = {"sha256": "", "boot_id": "", "unread_by": {}, "marks_sha256": ""}
    return cls(**{name: content[name] if name in content else absent[name] for name in cls._fields})
