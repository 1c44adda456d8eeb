# SPDX-License-Identifier: Apache-2.0
"""What reading the log gives: entries, places in the log, and what could not be read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Self

import orjson

from agent.log.records import OWN_HEAD, sequence_of
from agent.log.segments import SegmentName


class Cursor(NamedTuple):
    """A place in the log, between two records. As text: `<segment>:<offset>:<sequence>`."""

    segment: str
    """File name of the segment; empty: before the first one."""
    offset: int
    """Bytes of that segment that come before this place."""
    sequence: int
    """Sequence number of the last record before this place; 0 when there is none."""

    def __str__(self) -> str:
        return f"{self.segment}:{self.offset}:{self.sequence}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError when the text is not a cursor."""
        segment, *numbers = text.strip().split(":")
        if len(numbers) != 2 or not all(number.isdecimal() for number in numbers):
            raise ValueError(f"not a cursor of the event log: {text!r}")
        if segment and SegmentName.parse(segment) is None:
            raise ValueError(f"not a segment of the event log: {segment!r}")
        return cls(segment, int(numbers[0]), int(numbers[1]))


class Entry(NamedTuple):
    """One record and the place after it."""

    record: dict[str, Any]
    """The parsed line, or a notice `{"tracehound":{"notice":{…}}}` that the reader itself made."""
    line: bytes
    """The line as it stands in the file, without its newline; empty for a notice."""
    segment: str
    """File name of its segment."""
    offset: int
    """Bytes of the segment up to and including this line."""
    sequence: int
    """Its sequence number; of a notice, that of the last record before it."""

    @property
    def cursor(self) -> Cursor:
        """The place to go on from when this entry has been dealt with."""
        return Cursor(self.segment, self.offset, self.sequence)


class Corrupt(NamedTuple):
    """Bytes in the log that are not a record."""

    segment: str
    """File name of the segment."""
    offset: int
    """Where they begin, in bytes."""
    size: int
    """How many bytes."""


_SEQUENCE = re.compile(rb'"tracehound":\{"sequence":(\d+)')

LineTest = Callable[[bytes], object]


def line_test(types: Iterable[str] | None) -> LineTest | None:
    """A test of raw lines for event types (`process_exec`) and kinds of own records (`loss`).

    It looks at the first bytes only, which the writer fixes, so it is exact. None: everything.
    """
    if types is None:
        return None
    names = b"|".join(re.escape(name.encode()) for name in sorted({*types} - {"tracehound"}))
    return re.compile(rb'(?:\{"|%b\d+,")(?:%b)":' % (re.escape(OWN_HEAD), names)).match


def is_whole(line: bytes) -> bool:
    """Whether a line looks like a record, without parsing it."""
    return line.startswith(b'{"') and line.endswith(b"}")


def sequence_in(line: bytes) -> int:
    """The sequence number in a raw line, found without parsing it; 0 when there is none.

    Exact, because a quotation mark inside a JSON string is always escaped.
    """
    match = _SEQUENCE.search(line)
    return int(match[1]) if match else 0


def parse(line: bytes) -> tuple[dict[str, Any], int] | None:
    """A line's record and its sequence number; None when it is corrupt."""
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    sequence = sequence_of(record)
    return (record, sequence) if sequence is not None else None
