# SPDX-License-Identifier: Apache-2.0
"""What a row group tells of processes and of the log, for the index: each process once, with its exec and its
exit where they are in it. Needs pyarrow (extra `store`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from agent.store.arrows import numbers, plain
from agent.store.columns import Batch
from agent.store.events import EXEC, EXIT
from agent.store.lives import Life, is_sound, lives_in, nanoseconds, note_in

Note = tuple[int, int, str, Mapping[str, Any]]
"""time_ns, sequence, kind, content."""
_TEXTS = ("exe", "args", "cwd")
_WORKLOAD = ("container", "namespace", "pod")


def lives_of(batch: Batch) -> Iterator[Life]:
    """Facts about processes; of those without an exec in the batch what others' events say of them."""
    names = plain(batch.images["exec_id"], "")
    yield from _parents(batch, set(names))
    yield from map(Life._make, zip(names, *_identities(batch), *_fates(batch, len(names)), strict=True))
    for _, record in batch.others:
        yield from filter(is_sound, lives_in(record))


def notes_of(batch: Batch) -> Iterator[Note]:
    """Records of the log about itself."""
    for at, record in batch.others:
        if (note := note_in(record)) is not None:
            yield (batch.times[at], batch.sequences[at], *note)


def _parents(batch: Batch, told: set[str]) -> Iterator[Life]:
    """Those of which no event is in the batch."""
    for parent in batch.parent_objects:
        if parent.get("exec_id") and parent["exec_id"] not in told:
            yield from filter(is_sound, lives_in({"": {"process": parent}}))


def _identities(batch: Batch) -> Iterator[list[Any]]:
    """Columns of Life from `parent_exec_id` to `start_ns`, one value for each process."""
    images = batch.images
    yield plain(images["parent_exec_id"], "")
    yield plain(images["pid"], 0)
    yield images["uid"].to_pylist()
    for name in _TEXTS:
        yield plain(images[name], "")
    yield _users(batch, len(images["uid"]))
    for name in _WORKLOAD:
        yield plain(images[name], "")
    yield _starts(images["start_time"])


def _users(batch: Batch, count: int) -> list[str]:
    """Names of users, as execs tell them."""
    users, found = batch.events.users, [""] * count
    for process, event in zip(*_rows(batch, EXEC, batch.process_ids, batch.event_ids), strict=True):
        found[process] = users[event]
    return found


def _starts(column: pa.Array) -> list[int]:
    """Wall-clock nanoseconds; 0 where none is told."""
    try:
        times = column.cast(pa.timestamp("ns", tz="UTC")).cast(pa.int64())
    except pa.ArrowException:
        return [nanoseconds(text or "") for text in column.to_pylist()]
    found: list[int] = times.fill_null(0).to_pylist()
    return found


def _fates(batch: Batch, count: int) -> tuple[list[Any], ...]:
    """Columns of Life from `end_ns` on."""
    ends, statuses, signals, lasts = [0] * count, [0] * count, [""] * count, [0] * count
    recorded, replaces, firsts = [False] * count, [False] * count, [0] * count
    pids, above = plain(batch.images["pid"], 0), [parent.get("pid") for parent in batch.parent_objects]
    execs = _rows(batch, EXEC, batch.process_ids, batch.parent_ids, batch.sequences)
    for process, parent, sequence in zip(*execs, strict=True):
        recorded[process], firsts[process] = True, sequence
        replaces[process] = parent >= 0 and above[parent] == pids[process]
    exits = _rows(batch, EXIT, batch.process_ids, batch.event_ids, batch.sequences, batch.times)
    for process, event, sequence, time_ns in zip(*exits, strict=True):
        ends[process], lasts[process] = time_ns, sequence
        statuses[process], signals[process] = batch.events.exit_of(event)
    return ends, statuses, signals, recorded, replaces, firsts, lasts


def _rows(batch: Batch, kind: int, *columns: Any) -> list[list[int]]:
    """Values of the rows whose events are of a kind."""
    events = numbers(batch.event_ids, pa.int32())
    wanted = pc.equal(pa.array(batch.events.kinds, pa.uint8()).take(events), kind)
    types = {"i": pa.int32(), "q": pa.int64()}
    return [numbers(column, types[column.typecode]).filter(wanted).to_pylist() for column in columns]
