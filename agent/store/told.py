# SPDX-License-Identifier: Apache-2.0
"""What a row group tells of processes and of the log, for the index: each process once, then execs and
exits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agent.store.columns import Batch
from agent.store.lives import Life, life_of, lives_in, nanoseconds, note_in
from agent.store.schema import EVENT, PROCESS

Note = tuple[int, int, str, Mapping[str, Any]]
"""time_ns, sequence, kind, content."""
_PID = PROCESS.index("pid")
_USER, _SIGNAL, _STATUS = (EVENT.index(name) for name in ("user", "signal", "status"))


def lives_of(batch: Batch) -> Iterator[Life]:
    """Facts about processes; those without an exec in the batch are told by what others' events say of
    them."""
    told = {row[0] for row in batch.processes.rows}
    for parent in batch.parent_objects:
        if parent.get("exec_id") and parent["exec_id"] not in told:
            yield life_of(parent, {})
    began = {process for is_exec, _, process, _, _ in batch.lives if is_exec}
    for number, (row, start) in enumerate(zip(batch.processes.rows, batch.starts, strict=True)):
        if row[-1] and number not in began:  # without a form it was not taken apart, and follows below
            yield _life(row, start)
    yield from _lives(batch)
    for _, record in batch.others:
        yield from lives_in(record)


def notes_of(batch: Batch) -> Iterator[Note]:
    """Records of the log about itself."""
    for at, record in batch.others:
        if (note := note_in(record)) is not None:
            yield (batch.times[at], batch.sequences[at], *note)


def _lives(batch: Batch) -> Iterator[Life]:
    times, sequences, above = batch.times, batch.sequences, batch.parent_objects
    rows, starts, events = batch.processes.rows, batch.starts, batch.events.rows
    for is_exec, at, process, parent, event in batch.lives:
        row, told = rows[process], events[event]
        if is_exec:
            replaces = parent >= 0 and above[parent].get("pid") == row[_PID]
            yield _life(row, starts[process], told[_USER] or "", True, replaces, sequences[at])
        else:
            yield Life(
                row[0], end_ns=times[at], status=told[_STATUS] or 0, signal=told[_SIGNAL] or "",
                sequence=sequences[at],
            )  # fmt: skip


def _life(
    row: tuple[Any, ...],
    start: str | None,
    user: str = "",
    recorded: bool = False,
    replaces: bool = False,
    sequence: int = 0,
) -> Life:
    exec_id, parent_id, pid, uid, _, exe, args, cwd, container, _, namespace, pod = row[:12]
    return Life(
        exec_id, parent_id, pid or 0, uid, exe or "", args or "", cwd or "", user, container or "",
        namespace or "", pod or "", nanoseconds(start or ""), 0, 0, "", recorded, replaces, sequence,
    )  # fmt: skip
