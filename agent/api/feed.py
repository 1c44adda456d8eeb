# SPDX-License-Identifier: Apache-2.0
"""One client's event stream: its own place in the log, and what it wants of it.

The log is the queue. A client that is slow is simply further back in the log; nothing is kept for it.
One that is too far back goes on at the end, and is told how many events it missed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from agent.api.convert import Unconvertible, to_response
from agent.api.expansion import Expansion
from agent.api.filters.events import EventFilter
from agent.api.filters.fields import FieldSelection
from agent.api.filters.timelimit import TimeLimit, TooSlow
from agent.api.head import Head, ignore, is_own
from agent.api.nodelabels import NodeLabels
from agent.api.proto.tetragon import events_pb2
from agent.api.rate import Rate
from agent.api.wire import frame
from agent.log.entry import Cursor, Entry
from agent.log.filters.view import view
from agent.log.joining import Joining, Waiting
from agent.log.tail import Tail
from agent.log.window import Window

BATCH_EVENTS = 64
"""Events that are read, judged and sent together."""
BATCH_BYTES = 1 << 18
"""A batch ends early when its lines have this many bytes: it is all that is in memory for a client."""
HELD_BYTES = 1 << 20
"""Most bytes of lines that wait for their pod, for one client."""
FILTER_S = 0.25
"""CPU time that a client's filters may take for one batch, in seconds."""

T = TypeVar("T")

FILTER_LIMIT = TimeLimit(FILTER_S)


class Wish(NamedTuple):
    """What a client asked for, compiled."""

    filter: EventFilter
    """Which events."""
    fields: FieldSelection
    """Which of their fields."""
    expanded: bool
    """Whether it wants the expanded form."""
    per_s: float = 0.0
    """Most events in a second; 0: all."""

    @property
    def needs_expansion(self) -> bool:
        """Whether events are expanded, be it only to judge them."""
        return self.expanded or self.filter.needs_details or self.filter.needs_family

    @property
    def is_plain(self) -> bool:
        """Whether an event becomes the same message as for every other client that wants the same form."""
        return not self.fields


class Encoded:
    """Messages that were made lately: clients at the end of the log want the same ones."""

    MOST = 512

    def __init__(self) -> None:
        self._frames: dict[tuple[int, bool], bytes] = {}

    def get(
        self, sequence: int, expanded: bool, form: Callable[[], dict[str, Any]], beside: bytes = b""
    ) -> bytes:
        """The framed message of an event; `form` tells its record when nobody has made the message yet,
        `beside` are further fields of it. Raises Unconvertible."""
        made = self._frames.get((sequence, expanded))
        if made is None:
            made = frame(to_response(form()).SerializeToString() + beside)
            if len(self._frames) >= self.MOST:
                del self._frames[next(iter(self._frames))]
            self._frames[sequence, expanded] = made
        return made


class Feed:
    """The events for one client, from the end of the log at the time it is made. Never waits."""

    def __init__(
        self,
        head: Head,
        directory: str,
        wish: Wish,
        encoded: Encoded,
        expansion: Expansion | None,
        hold_s: float = 0.0,
        labels: NodeLabels | None = None,
    ) -> None:
        """`hold_s`: how long events wait for their pod, in seconds."""
        self._labels = labels
        self._head = head
        self._directory = Path(directory)
        self._wish = wish
        self._encoded = encoded
        self._expansion = expansion
        self._rate = Rate(wish.per_s) if wish.per_s else None
        self._joining = Joining(hold_s)
        self._waiting: Waiting[list[Entry]] = Waiting(self._joining, _lines, HELD_BYTES)
        self._joined: set[int] = set()
        """Events of this batch that have got their pod here: another client may have had them without."""
        head.look()
        self._go_to_end()

    @property
    def cursor(self) -> Cursor:
        """The client's place."""
        return self._tail.cursor

    @property
    def events_behind(self) -> int:
        """How many events there are between the client's place and the end of the log."""
        records = self._head.cursor.sequence - self.cursor.sequence
        return max(0, records - (self._head.own - self._own))

    def next_frames(self, most_behind: int) -> bytes:
        """The next messages, framed, ready to be sent; empty when none is due. Raises OSError, TooSlow.

        When the client is more than `most_behind` events behind, one that says how many it missed.
        """
        behind = self.events_behind
        if behind > most_behind:
            self.close()
            self._go_to_end()
            held = [entry for piece in self._waiting.all() for entry in piece]
            return self._frames(held) + self._missed(behind)
        entries = list(self._batch())
        self._own += sum(1 for entry in entries if is_own(entry.line))
        return self._frames(self._due(entries))

    def _due(self, entries: list[Entry]) -> list[Entry]:
        """What need not wait any more, with the pods that became known meanwhile."""
        if self._joining.hold_s <= 0:
            return entries
        if entries:
            self._waiting.add(entries)
        due: list[Entry] = []
        while (piece := self._waiting.due(at_end=self.events_behind == 0)) is not None:
            due += piece
        made = [entry._replace(record=self._joining.joined(entry.record)) for entry in due]
        pairs = zip(due, made, strict=True)
        self._joined = {entry.sequence for entry, now in pairs if now.record is not entry.record}
        return made

    def _frames(self, entries: list[Entry]) -> bytes:
        frames = [self._missed(missed) for missed in map(_removed, entries) if missed]
        events = [entry for entry in entries if entry.line and not is_own(entry.line)]
        frames += self._messages(events)
        if self._rate and (held_back := self._rate.to_tell()):
            frames.append(self._missed(held_back))
        return b"".join(frames)

    @property
    def owes(self) -> bool:
        """Whether the client has to be told something although nothing new may come."""
        return self._rate is not None and self._rate.owes

    @property
    def is_holding(self) -> bool:
        """Whether events wait for their pod."""
        return len(self._waiting) > 0

    def close(self) -> None:
        """Closes the open segment."""
        self._tail.close()

    def _go_to_end(self) -> None:
        self._tail = Tail(self._directory, Window(), self._head.cursor, ignore)
        self._own = self._head.own
        self._entries: Iterator[Entry] = iter(())

    def _batch(self) -> Iterator[Entry]:
        """The next records, up to a number and a size; fewer only at the end of the log."""
        size = 0
        for _ in range(2):  # an iteration ends where the log ended when it was last looked at
            for entry in islice(self._entries, BATCH_EVENTS):
                yield entry
                size += len(entry.line)
                if size >= BATCH_BYTES:
                    return
            if size:
                return
            self._entries = self._tail.entries()

    def _messages(self, events: list[Entry]) -> list[bytes]:
        """What becomes of the events: judged in the form that the filters need, sent in the other's."""
        if self._expansion is not None and events:
            self._expansion.catch_up()
        if self._wish.filter.passes_all:
            events = self._limited(events)
            return [self._encode(entry, partial(self._form, entry.record)) for entry in events]
        wanted = self._wanted([(entry, self._form(entry.record)) for entry in events])
        kept = [
            (entry, full if self._wish.expanded else entry.record) for entry, full in self._limited(wanted)
        ]
        return [self._encode(entry, _given(form)) for entry, form in kept]

    def _limited(self, wanted: list[T]) -> list[T]:
        """The first ones, as many as the client's rate lets through."""
        return wanted[: self._rate.take(len(wanted))] if self._rate else wanted

    def _form(self, record: dict[str, Any]) -> dict[str, Any]:
        """The form in which an event is judged."""
        if self._expansion is None:
            return record
        if not self._wish.expanded and not self._wish.filter.needs_details:
            seen = view(record)
            if seen is None or seen.has_family:
                return record
        return self._expansion.expand(record)

    def _wanted(self, pairs: list[tuple[Entry, dict[str, Any]]]) -> list[tuple[Entry, dict[str, Any]]]:
        judge = self._wish.filter
        with FILTER_LIMIT, _bounded():
            return [pair for pair in pairs if (seen := view(pair[1])) is not None and judge.wants(seen)]

    def _encode(self, entry: Entry, form: Callable[[], dict[str, Any]]) -> bytes:
        """The framed message; an event that cannot be converted is not passed over in silence."""
        try:
            if self._wish.is_plain and entry.sequence not in self._joined:
                return self._encoded.get(entry.sequence, self._wish.expanded, form, self._beside)
            return frame(to_response(self._wish.fields.select(form())).SerializeToString() + self._beside)
        except (Unconvertible, AttributeError, TypeError):
            return self._missed(1)

    @property
    def _beside(self) -> bytes:
        """What stands in every message."""
        return self._labels.field if self._labels else b""

    def _missed(self, count: int) -> bytes:
        now_s, now_ns = divmod(time.time_ns(), 1_000_000_000)
        notice = events_pb2.GetEventsResponse(
            rate_limit_info=events_pb2.RateLimitInfo(number_of_dropped_process_events=count),
            node_name=self._head.node_name,
        )
        notice.time.seconds, notice.time.nanos = now_s, now_ns
        return frame(notice.SerializeToString() + self._beside)


def _given(form: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    return lambda: form


@contextmanager
def _bounded() -> Iterator[None]:
    """The runtime of CEL ends an expression that iterates too often (10,000 times) by itself."""
    try:
        yield
    except RuntimeError as error:
        raise TooSlow(f"a CEL expression was given up: {str(error).splitlines()[0]}") from None


def _lines(entries: list[Entry]) -> list[bytes]:
    return [entry.line for entry in entries]


def _removed(entry: Entry) -> int:
    """How many records the reader says are gone (retention was faster than the client)."""
    if entry.line:
        return 0
    notice = entry.record["tracehound"]["notice"]
    first, last = notice.get("from_sequence"), notice.get("to_sequence")
    return last - first + 1 if isinstance(first, int) and isinstance(last, int) else 1
