# SPDX-License-Identifier: Apache-2.0
"""One segment against what it was: at the speed of hashing while all is well, line by line when it is not."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from agent.log.entry import parse, sequence_in
from agent.log.marks import marks_path, read_marks
from agent.log.opened import OpenedSegment
from agent.log.segments import SegmentName

Progress = Callable[[int], object]
"""Gets the bytes that were read since its last call."""


class Fault(NamedTuple):
    """Something that is not as it was written."""

    file: str
    """File name of the segment, `manifest.jsonl` or `store/<name>.parquet`."""
    line: int
    """Counted from 1; 0 when it concerns the whole file."""
    sequence: int
    """Number of the record; 0 when it is not known."""
    problem: str
    to_line: int = 0
    """Where the record cannot be told: the last line among which it is. 0: it is `line`."""


class HeadSeen(NamedTuple):
    """A heartbeat that holds the head of the manifest of its time."""

    line: int
    sequence: int
    manifest: str


class Seen(NamedTuple):
    """What one look at a whole segment says."""

    sha256: str
    bytes: int
    """Of whole lines."""
    lines: int
    torn_bytes: int
    """Bytes of a last line that is not whole."""
    heads: list[HeadSeen]


class Expected(NamedTuple):
    """What a segment was when it was closed."""

    sha256: str
    lines: int | None = None
    """None when only the next segment tells of it."""
    marks_sha256: str = ""


class Located(NamedTuple):
    """What a look at every line says."""

    faults: list[Fault]
    """The first one that was found, if any."""
    lines: int
    last_sequence: int
    """Number of the last whole line; one before the first when there is none."""


_HEAD = b'"chain":{"manifest":"'
"""In a heartbeat; nothing else has it: quotation marks inside of texts are escaped."""


def look(
    directory: Path, name: SegmentName, progress: Progress, watch: Callable[[bytes], object] = len
) -> Seen:
    """Reads a segment once. `progress` gets the bytes read since its last call, `watch` whole lines. Raises
    OSError."""
    digest, lines, heads = hashlib.sha256(), 0, list[HeadSeen]()
    segment = OpenedSegment(directory, name)
    try:
        for chunk in segment.chunks():
            whole = chunk if chunk.endswith(b"\n") else b""
            heads += _heads(whole, lines)
            watch(whole)
            digest.update(chunk)
            lines += chunk.count(b"\n")
            segment.offset += len(chunk)
            progress(len(chunk))
        return Seen(digest.hexdigest(), segment.offset, lines, segment.size() - segment.offset, heads)
    finally:
        segment.close()


def locate(directory: Path, name: SegmentName, expected: Expected | None) -> Located:
    """Looks at every line for the first one that is wrong. `expected` None: nothing is known but that numbers
    rise by one. Raises OSError."""
    path, sha256 = marks_path(directory, name), expected.marks_sha256 if expected else ""
    search = _Search(name, read_marks(path, sha256))
    segment = OpenedSegment(directory, name)
    try:
        for chunk in segment.chunks():
            segment.offset += len(chunk)
            for line in chunk[:-1].split(b"\n") if chunk.endswith(b"\n") else [chunk]:
                fault = search.take(line)
                if fault is not None:
                    return Located([fault], search.lines, search.sequence)
        torn = segment.size() - segment.offset
    finally:
        segment.close()
    fault = search.end(expected, torn)
    return Located([fault] if fault else [], search.lines, search.sequence)


class _Search:
    """Goes through the lines of one segment."""

    def __init__(self, name: SegmentName, marks: Mapping[int, bytes]) -> None:
        self.lines = 0
        self._marks = marks
        self.sequence = name.first_sequence - 1
        self._name = str(name)
        self._digest = hashlib.sha256()
        self._bytes = 0
        self._good = 0  # lines that a heartbeat or a mark has proved

    def take(self, line: bytes) -> Fault | None:
        number, expected = self.lines + 1, self.sequence + 1
        parsed = parse(line)
        if parsed is None:
            return Fault(self._name, number, expected, "is no record: it was changed or overwritten")
        record, found = parsed
        if found != expected:
            return Fault(self._name, number, found, _order(found, expected))
        own = record["tracehound"]
        if number == 1 and "segment" not in own:
            return Fault(self._name, 1, found, "does not begin with a `segment` record")
        mark = _mark(own)
        if mark is not None and mark["segment"] == self._name and mark["bytes"] == self._bytes:
            if mark["sha256"] != self._digest.hexdigest():
                return self._range(f"a record was changed before heartbeat {found} was written")
            self._good = self.lines
        self._digest.update(line + b"\n")
        self._bytes += len(line) + 1
        self.lines, self.sequence = number, found
        told = self._marks.get(self._bytes)
        if told is None:
            return None
        if self._digest.digest()[: len(told)] != told:
            return self._range("a record was changed; its text alone does not show which")
        self._good = self.lines
        return None

    def end(self, expected: Expected | None, torn_bytes: int) -> Fault | None:
        """The end of the file; what is not told by a line."""
        if expected is None:
            return None
        if expected.lines is not None and self.lines < expected.lines:
            gone = expected.lines - self.lines
            return Fault(
                self._name, self.lines + 1, self.sequence + 1, f"is missing, and {gone - 1} records after it"
            )
        if expected.lines is not None and self.lines > expected.lines:
            return Fault(self._name, expected.lines + 1, 0, "was added after the segment was closed")
        if torn_bytes:
            return Fault(
                self._name, self.lines + 1, 0, f"{torn_bytes} bytes were added after the last record"
            )
        if self._digest.hexdigest() != expected.sha256:
            return self._range("a record was changed; its text alone does not show which")
        return None

    def _range(self, problem: str) -> Fault:
        number = max(self._good + 1, 1)
        first = self.sequence - self.lines + number
        return Fault(self._name, number, first, problem, self.lines if self.lines > number else 0)


def _heads(chunk: bytes, lines: int) -> Iterator[HeadSeen]:
    at = chunk.find(_HEAD)
    while at >= 0:
        start, value = chunk.rfind(b"\n", 0, at) + 1, at + len(_HEAD)
        number = lines + chunk.count(b"\n", 0, start) + 1
        manifest = chunk[value : value + 64].decode("ascii", "replace")
        yield HeadSeen(number, sequence_in(chunk[start:value]), manifest)
        at = chunk.find(_HEAD, value)


def _mark(own: dict[str, Any]) -> dict[str, Any] | None:
    """What a heartbeat says of the open segment."""
    try:
        mark = own["heartbeat"]["chain"]["open"]
        return mark if {"segment", "bytes", "sha256"} <= mark.keys() else None
    except (KeyError, TypeError, AttributeError):
        return None


def _order(found: int, expected: int) -> str:
    if found > expected:
        missing = (
            f"record {expected} is" if found == expected + 1 else f"records {expected} to {found - 1} are"
        )
        return f"{missing} missing before it"
    return f"stands where record {expected} belongs: records were repeated or changed places"


def _records(first: int, last: int) -> str:
    return f"record {first} is" if first == last else f"records {first} to {last} are"
