# SPDX-License-Identifier: Apache-2.0
"""Documents gathered into batches, and the place in the log that each batch reaches."""

from __future__ import annotations

import time
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from agent.log.entry import Cursor, Entry, sequence_in
from agent.log.tail import Chunk
from agent.log.times import format_time
from exporters.base import Batching, Document
from exporters.cursor import Place
from exporters.documents import Make, NoRecord, made_document
from exporters.formats import Format
from exporters.joining import JoinedSource
from exporters.limits import Bucket
from exporters.probes import Probes
from exporters.source import Source
from exporters.state import State

SLICE_S = 0.2
"""After so long the caller gets its turn, in seconds, however much there is to read."""


TELL_PROBES_S = 60.0
"""How often is told how many exec probes were left out, in seconds."""


class Outcome(Enum):
    """How a round of gathering ended."""

    FULL = "the batch is full"
    DRY = "there is nothing more at the moment"
    BUSY = "there is more; it was time for something else"
    ENDED = "the end of a replay is reached"


class Batch(NamedTuple):
    """What goes to the destination at once."""

    documents: list[Document]
    place: Place
    """Where the log goes on once they have been answered for."""
    size: int
    """Bytes of their bodies."""


class Held:
    """Events that were held back and that no record tells of yet."""

    def __init__(self, first: Document, cause: str = "") -> None:
        """`cause`: empty for the rate limit."""
        self.count = 0
        self._cause = cause
        self._first = self._last = first
        self._since = time.monotonic()

    def add(self, document: Document) -> None:
        self.count += 1
        self._last = document

    @property
    def age_s(self) -> float:
        """How long ago the first one was held back, in seconds."""
        return time.monotonic() - self._since

    def told(self, exporter: str, form: Format | None) -> Document:
        """The `suppressed` record."""
        first, last = self._first, self._last
        content: dict[str, object] = {
            "exporter": exporter,
            **({"cause": self._cause} if self._cause else {}),
            "count": self.count,
            "from_sequence": first.sequence,
            "to_sequence": last.sequence,
            "from": format_time(first.time_ns),
            "to": format_time(last.time_ns),
        }
        return made_document("suppressed", content, last, form)


class Gatherer:
    """Fills batches from a source. Raises OSError when the log cannot be read."""

    def __init__(
        self,
        source: Source | JoinedSource,
        make: Make,
        batching: Batching,
        state: State,
        *,
        place: Place,
        bucket: Bucket | None = None,
        probes: Probes | None = None,
        form: Format | None = None,
        until: Cursor | None = None,
    ) -> None:
        """`form` words the records that the runner makes itself; `until`: the place where reading ends;
        `probes`: which exec probes are left out."""
        self.place = place
        """The place after what was read so far."""
        self.limit_bytes = batching.bytes
        """Most bytes in a batch; the runner lowers it for a destination that takes less."""
        self._source, self._make, self._batching, self._state = source, make, batching, state
        self._bucket, self._form, self._until = bucket, form, until
        self._items: Iterator[Chunk | Entry] = iter(())
        self._chunk: Chunk | None = None
        self._index = self._offset = 0
        self._held: Held | None = None
        self._probes = probes
        self._held_probes: Held | None = None
        self._last = Document({}, b"", "", time.time_ns(), place.cursor.sequence, place.boot_id, "", "")
        self._begin()

    @property
    def waiting(self) -> int:
        """Documents in the batch so far; a pending `suppressed` record counts."""
        told = self._held_probes is not None and self._held_probes.age_s >= TELL_PROBES_S
        return len(self._documents) + (self._held is not None) + told

    @property
    def is_holding(self) -> bool:
        """Whether events wait for their pod."""
        return isinstance(self._source, JoinedSource) and self._source.is_holding

    @property
    def age_s(self) -> float:
        """Seconds since the first of them came."""
        return time.monotonic() - self._since

    def gather(self) -> Outcome:
        """Adds what there is, for at most a slice of time."""
        deadline = time.monotonic() + SLICE_S
        if not self.waiting:
            self._since = time.monotonic()
        while True:
            if self._chunk is None and not self._next():
                return Outcome.ENDED if self._is_over() else Outcome.DRY
            if self._chunk is not None and not self._fill(self._chunk):
                return Outcome.FULL
            if time.monotonic() > deadline:
                return Outcome.BUSY

    def take(self) -> Batch:
        """The batch as it is, with the account of what was held back; a new one begins."""
        self._tell_held()
        self._tell_probes()
        batch = Batch(self._documents, self.place, self._size)
        self._begin()
        return batch

    def _begin(self) -> None:
        self._documents: list[Document] = []
        self._size = 0
        self._since = time.monotonic()
        if self._bucket is not None:
            self._bucket.rest()

    def _next(self) -> bool:
        """Goes on to the next piece of the log; False when there is none now."""
        if self._is_over():
            return False
        item = next(self._items, None)
        if item is None:
            self._items = self._source.chunks()
            item = next(self._items, None)
        if item is None:
            return False
        if isinstance(item, Entry):
            self._notice(item)
        else:
            self._enter(item)
        return True

    def _enter(self, chunk: Chunk) -> None:
        if chunk.boot_id != self.place.boot_id:
            self._tell_held()
        self._chunk, self._index, self._offset = chunk, 0, chunk.offset
        self._move(Cursor(chunk.segment, chunk.offset, self.place.cursor.sequence))

    def _is_over(self) -> bool:
        place, until = self.place.cursor, self._until
        return until is not None and place[:2] >= until[:2]

    def _fill(self, chunk: Chunk) -> bool:
        """Lines of the chunk into the batch; False when it is full before the chunk's end."""
        lines, boot_id, make = chunk.lines, chunk.boot_id, self._make
        documents, bucket, offset, index = self._documents, self._bucket, self._offset, self._index
        probes = self._probes
        most, limit, size, left_out = self._batching.events, self.limit_bytes, self._size, 0
        end, full = self._end_in(chunk), False
        while index < len(lines) and offset < end:
            line = lines[index]
            try:
                document = make(line, boot_id)
            except NoRecord:
                document = None
                self._state.corrupt += 1
            if document is None:
                left_out += 1
            else:
                more = size + len(document.body)
                if documents and (more > limit or len(documents) >= most):
                    full = True
                    break
                if probes is not None and not probes.admit(document, line):
                    self._hold_probe(document)
                elif bucket is not None and "process_" in document.type and not bucket.admit():
                    self._hold(document)
                else:
                    documents.append(document)
                    size = more
                self._last = document
            index += 1
            offset += len(line) + 1
        self._state.filtered += left_out
        self._index, self._offset, self._size = index, offset, size
        last = sequence_in(lines[index - 1]) if index else 0
        self._move(Cursor(chunk.segment, offset, last or self.place.cursor.sequence), boot_id)
        if not full:
            self._chunk = None
        return not full

    def _end_in(self, chunk: Chunk) -> float:
        """The offset at which reading ends; a chunk of a later segment is not read at all."""
        until = self._until
        if until is None or chunk.segment < until.segment:
            return float("inf")
        return until.offset if chunk.segment == until.segment else 0

    def _move(self, cursor: Cursor, boot_id: str | None = None) -> None:
        self.place = Place(cursor, self.place.boot_id if boot_id is None else boot_id)

    def _hold(self, document: Document) -> None:
        if self._held is None:
            self._held = Held(document)
        self._held.add(document)
        self._state.suppressed += 1

    def _hold_probe(self, document: Document) -> None:
        if self._held_probes is None:
            self._held_probes = Held(document, "maybe_exec_probe")
        self._held_probes.add(document)
        self._state.suppressed += 1

    def _tell_probes(self) -> None:
        """How many there were, once a minute."""
        if self._held_probes is not None and self._held_probes.age_s >= TELL_PROBES_S:
            self._documents.append(self._held_probes.told(self._state.name, self._form))
            self._held_probes = None

    def _tell_held(self) -> None:
        if self._held is not None:
            self._documents.append(self._held.told(self._state.name, self._form))
            self._held = None

    def _notice(self, entry: Entry) -> None:
        """What was removed before it was read is told in its place."""
        self._tell_held()
        like = self._last._replace(time_ns=time.time_ns())
        content = entry.record["tracehound"]["notice"]
        self._documents.append(made_document("notice", content, like, self._form))
        self._state.gaps += 1
        self._state.fail(f"records were removed before they were read: {content}")
