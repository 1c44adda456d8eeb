# SPDX-License-Identifier: Apache-2.0
"""The log from a place on, as raw lines: live segments, and those that were compacted to Parquet meanwhile.

What is gone for good comes as a notice in its place; a notice has no line and no number (docs/event-log.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from agent.log.entry import Cursor, Entry, parse, sequence_in
from agent.log.opened import OpenedSegment
from agent.log.reader import LogReader
from agent.log.recovery import read_head
from agent.log.segments import SegmentName, list_segments
from agent.log.tail import Chunk

CHUNK_BYTES = 1 << 18
"""Lines of a compacted segment come in pieces of about so many bytes, as those of a live one do."""


def machine_id(directory: Path) -> str:
    """Of the host that writes the log, as its newest segments tell (machine-id(5)); empty when none does."""
    with suppress(OSError):
        for name in reversed(list_segments(directory)):
            head = read_head(directory / str(name))
            found = head["tracehound"]["segment"].get("machine_id") if head else None
            if isinstance(found, str) and found:
                return found
    return ""


class Source:
    """Reads on without ever waiting. `report` is told what could not be read, in a sentence.

    Raises LogUnavailable when there is no log directory or it may not be read.
    """

    def __init__(self, directory: Path, cursor: Cursor, report: Callable[[str], None]) -> None:
        self._directory, self._report = directory, report
        self._reader = LogReader(directory, on_corrupt=lambda one: report(f"no record: {one}"))
        self._tail = self._reader.tail(cursor if cursor.segment else None)
        self._begins = not cursor.segment
        self._place = cursor
        self._boot_id = ""

    @property
    def corrupt(self) -> int:
        """Pieces of the log that are no record."""
        return self._reader.corrupt

    def chunks(self) -> Iterator[Chunk | Entry]:
        """What there is now; call it again for what has come since. Raises OSError."""
        for item in self._tail.chunks():
            if isinstance(item, Entry):
                yield from self._bridge(item)
                continue
            if self._begins:
                yield from self._before(SegmentName.parse(item.segment))
            self._passed(item)
            yield item
        if self._begins:
            yield from self._compacted_alone()

    def close(self) -> None:
        """Closes the open segment."""
        self._tail.close()

    def _passed(self, chunk: Chunk) -> None:
        end = chunk.offset + sum(map(len, chunk.lines)) + len(chunk.lines)
        sequence = sequence_in(chunk.lines[-1]) or self._place.sequence
        self._place, self._boot_id = Cursor(chunk.segment, end, sequence), chunk.boot_id

    def _before(self, first: SegmentName | None) -> Iterator[Chunk | Entry]:
        """The compacted segments before the first live one, which is open by now: what is compacted while
        these are read comes after it, and the tail tells of it."""
        self._begins = False
        for name in self._compacted():
            if first is None or name < first:
                yield from self._rebuilt(name)

    def _compacted_alone(self) -> Iterator[Chunk | Entry]:
        """No line is live: the tail goes on from what is compacted."""
        if self._compacted():
            yield from self._before(None)
            self._tail.close()
            self._tail = self._reader.tail(self._place if self._place.segment else None)

    def _bridge(self, notice: Entry) -> Iterator[Chunk | Entry]:
        """Compacted segments in place of a notice, and a notice of what is missing even so."""
        told: dict[str, Any] = notice.record["tracehound"]["notice"]
        after, following = SegmentName.parse(told["after"]), SegmentName.parse(told["segment"])
        names = [n for n in self._compacted() if after and following and after <= n < following]
        for name in names:
            yield from self._rebuilt(name)
        yield from self._gap(str(following)) if self._place.segment != str(after) else [notice]

    def _rebuilt(self, name: SegmentName) -> Iterator[Chunk | Entry]:
        from agent.store.layout import parquet_path
        from agent.store.rebuild import lines

        try:
            yield from self._pieces(name, lines(parquet_path(self._directory, name)))
        except (ImportError, OSError, ValueError) as error:
            self._report(f"{name} was compacted and cannot be read back: {error}")

    def _pieces(self, name: SegmentName, lines: Iterator[bytes]) -> Iterator[Chunk | Entry]:
        skip = self._place.offset if self._place.segment == str(name) else 0
        piece: list[bytes] = []
        offset = size = 0
        boot_id = ""
        for line in lines:
            boot_id = boot_id or _boot_of(line)
            if offset == 0 and self._place.segment not in ("", str(name)):
                yield from self._gap(str(name), line)
            offset += len(line)
            if offset <= skip:
                continue
            piece.append(line.removesuffix(b"\n"))
            size += len(line)
            if size >= CHUNK_BYTES:
                yield self._piece(name, offset - size, piece, boot_id)
                piece, size = [], 0
        if piece:
            yield self._piece(name, offset - size, piece, boot_id)

    def _piece(self, name: SegmentName, offset: int, lines: list[bytes], boot_id: str) -> Chunk:
        chunk = Chunk(str(name), offset, lines, boot_id)
        self._passed(chunk)
        return chunk

    def _gap(self, segment: str, head: bytes = b"") -> Iterator[Entry]:
        """A notice when records are missing between the place so far and the beginning of a segment."""
        name = SegmentName.parse(segment)
        told = _segment_of(head or self._head(segment))
        if name is None or told.get("previous") == self._place.segment:
            return
        content: dict[str, Any] = {
            "cause": "segment_removed",
            "after": self._place.segment,
            "segment": segment,
        }
        first, last = self._place.sequence + 1, name.first_sequence - 1
        if told.get("boot_id") == self._boot_id and last >= first:
            content |= {"from_sequence": first, "to_sequence": last}
        yield Entry({"tracehound": {"notice": content}}, b"", segment, 0, self._place.sequence)

    def _head(self, segment: str) -> bytes:
        name = SegmentName.parse(segment)
        try:
            opened = OpenedSegment(self._directory, name) if name else None
        except OSError:
            return b""
        if opened is None:
            return b""
        try:
            return next(opened.chunks(), b"").partition(b"\n")[0]
        finally:
            opened.close()

    def _compacted(self) -> list[SegmentName]:
        try:
            from agent.store.layout import compacted_segments

            return compacted_segments(self._directory)
        except (ImportError, OSError) as error:
            self._report(f"compacted segments cannot be read: {error}")
            return []


def _segment_of(line: bytes) -> dict[str, Any]:
    """Content of a `segment` record; empty when the line is none."""
    parsed = parse(line)
    told = parsed[0]["tracehound"].get("segment") if parsed else None
    return told if isinstance(told, dict) else {}


def _boot_of(line: bytes) -> str:
    return str(_segment_of(line).get("boot_id", ""))
