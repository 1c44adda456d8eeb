# SPDX-License-Identifier: Apache-2.0
"""A segment read once: its lines as row groups, its hash, and what it tells of processes. Memory is bounded
by one row group."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from agent.log.entry import parse
from agent.store.columns import Batch
from agent.store.index import SegmentFacts
from agent.store.layout import SUFFIX
from agent.store.lives import Life
from agent.store.split import middle_of
from agent.store.told import Note, lives_of, notes_of

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK_BYTES = 1 << 20
_LINES = 1000


class SegmentReading:
    """`tables` does the reading; the rest is known when it is through. Raises OSError."""

    def __init__(
        self, path: Path, *, strict: bool = False, keep_lives: bool = True, whole_lines: bool = False
    ) -> None:
        self.rows = 0
        self.first_sequence = self.last_sequence = 0
        self.first_ns = self.last_ns = 0
        self.lives: list[Life] = []
        self.notes: list[Note] = []
        self.boot_id = self.node = self.previous = ""
        self.ended = True
        """Whether the last line has its newline."""
        self._path, self._strict, self._keep, self._whole = path, strict, keep_lives, whole_lines
        self._middle = b""
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Of the bytes that were read, as hexadecimal digits."""
        return self._digest.hexdigest()

    def tables(self) -> Iterator[pa.Table]:
        """Row groups, in order."""
        batch: Batch | None = None
        for lines in self._blocks():
            if batch is None:
                self._begin(lines)
                batch = self._new_batch()
            for at in range(0, len(lines), _LINES):
                batch.take(lines[at : at + _LINES])
                if batch.is_full:
                    yield self._finish(batch)
                    batch = self._new_batch()
        if batch is None:
            batch = self._new_batch()
        if len(batch) or not self.rows:
            yield self._finish(batch)

    def metadata(self) -> dict[str, str]:
        """What stands in the file beside the rows."""
        return {
            "segment": self._path.name,
            "boot_id": self.boot_id,
            "middle": self._middle.decode(),
            "ended": str(int(self.ended)),
            "sha256": self.sha256,
            "first_sequence": str(self.first_sequence),
            "last_sequence": str(self.last_sequence),
        }

    def facts(self, name: str) -> SegmentFacts:
        """For the index."""
        return SegmentFacts(
            name, self.boot_id, self.node, self.rows, self.first_sequence, self.last_sequence, self.first_ns,
            self.last_ns, self.sha256, self.previous,
        )  # fmt: skip

    def _new_batch(self) -> Batch:
        return Batch(self._middle, self.boot_id, strict=self._strict)

    def _begin(self, lines: list[bytes]) -> None:
        head = parse(lines[0])
        if head is not None:
            segment = head[0]["tracehound"].get("segment") or {}
            self.boot_id, self.previous = segment.get("boot_id", ""), segment.get("previous") or ""
            self.node = head[0].get("node_name", "")
        self._middle = next((middle for line in lines if (middle := _text(middle_of(line)))), b"")

    def _finish(self, batch: Batch) -> pa.Table:
        self.rows += len(batch)
        if len(batch):
            numbers = [number for number in batch.sequences if number]
            self.first_sequence = self.first_sequence or min(numbers, default=0)
            self.last_sequence = max(self.last_sequence, max(numbers, default=0))
            times = [time for time in batch.times if time]
            self.first_ns = min(filter(None, (self.first_ns, min(times, default=0))), default=0)
            self.last_ns = max(self.last_ns, max(times, default=0))
        if self._keep:
            self.lives += lives_of(batch)
            self.notes += notes_of(batch)
        return batch.table()

    def _blocks(self) -> Iterator[list[bytes]]:
        """Whole lines without their newlines, many at a time."""
        held = b""
        for block in self._bytes():
            self._digest.update(block)
            lines = block.split(b"\n")
            lines[0] = held + lines[0]
            held = lines.pop()
            if lines:
                yield lines
        if held and not self._whole:
            self.ended = False
            yield held.split(b"\n")

    def _bytes(self) -> Iterator[bytes]:
        """The segment's bytes; of a Parquet file those that it was made of."""
        if self._path.suffix == SUFFIX:
            from agent.store.rebuild import blocks

            yield from map(bytes, blocks(self._path))
            return
        with self._path.open("rb", buffering=0) as file:
            while block := file.read(BLOCK_BYTES):
                yield block


def _text(middle: bytes) -> bytes:
    """A middle that can stand in a file's metadata; else nothing."""
    return middle if middle.decode(errors="ignore").encode() == middle else b""
