# SPDX-License-Identifier: Apache-2.0
"""A part of the log that tells its story alone: what some processes did, or all within a period, with the
execs of everybody's ancestors before it. Lines are as the log has them: secrets were redacted when they were
written.

What it gives is the input of `tracehound replay` and of samples (docs/detections.md).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson

from agent.log.records import OWN_HEAD
from agent.log.times import parse_time
from agent.store.picking import OfProcesses, Period, Pick, Watch, pick
from agent.store.records import Problems

Record = dict[str, Any]
TYPES = (
    "process_exec", "process_exit", "process_kprobe", "process_lsm", "process_tracepoint", "process_uprobe",
    "process_usdt", "fork",
)  # fmt: skip
"""Records about processes (docs/events)."""
BEGINNINGS = ("process_exec", "fork")
HIDDEN = "[hidden]"
_LEFT_OUT = frozenset(("arguments", "environment", "raw"))
_TEXTS = frozenset(("string_arg", "bytes_arg", "truncated_bytes_arg"))
"""Members that hold what was typed or written (docs/architecture.md, docs/events/process_kprobe.md)."""
MOST = 100_000
"""Records of a capture unless more are asked for: about 100 MB."""


class Everything:
    """A pick of all events, and of the records that say how to read them."""

    columns = ("type",)

    def mask(self, table: Any) -> Any:
        """Whatever has one of the types."""
        import pyarrow as pa

        from agent.store.rebuild import is_in

        return is_in(table.column(0), pa.array([*TYPES, "segment"], pa.string()))

    def line(self, line: bytes) -> object:
        """All but own records, which are looked at again."""
        return not line.startswith(OWN_HEAD) or b'"fork":' in line or b'"segment":' in line


def capture(
    log_dir: Path,
    processes: Collection[str] | None,
    period: Period,
    problems: Problems,
    *,
    most: int = MOST,
    watch: Watch | None = None,
) -> tuple[list[Record], bool]:
    """Records about processes (exec_ids; None: all) in a period, those that begin their ancestors before
    them, and whether more than `most` were left out. Raises OSError."""
    wanted: Pick = Everything() if processes is None else OfProcesses(processes, TYPES)
    events: list[Record] = []
    is_cut = False
    for record in records_of(pick(log_dir, wanted, problems, period, watch)):
        if "segment" not in record["tracehound"] and is_within(record, period):
            if len(events) == most:
                is_cut = True
                break
            events.append(record)
    return [*_beginnings(log_dir, events, problems), *events], is_cut


def ancestors_of(records: Iterable[Record]) -> set[str]:
    """exec_ids of processes that records name and do not begin themselves."""
    named: set[str] = set()
    begun: set[str] = set()
    for record in records:
        own = record.get("tracehound") or {}
        event = next(
            (one for key, one in record.items() if key.startswith("process_")), own.get("fork") or {}
        )
        process, parent = event.get("process") or {}, event.get("parent") or {}
        named.update(
            own.get("ancestry") or (), (process.get("exec_id", ""), process.get("parent_exec_id", ""))
        )
        named.add(parent.get("exec_id", ""))
        if "process_exec" in record:
            begun.add(process.get("exec_id", ""))
    return {one for one in named - begun if one}


def records_of(lines: Iterable[bytes]) -> Iterator[Record]:
    """Lines that are records."""
    for line in lines:
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        if isinstance(record, dict) and isinstance(record.get("tracehound"), dict):
            yield record


def is_within(record: Record, period: Period) -> bool:
    """Whether a record's time lies in a period."""
    try:
        return period.since_ns <= parse_time(record.get("time", "")) <= period.until_ns
    except (ValueError, AttributeError):
        return False


def without_arguments(record: Record) -> Record:
    """The same without what people and programs wrote: arguments, variables, texts and buffers."""
    found: Record = _bare(record)
    return found


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: HIDDEN if key in _TEXTS else _bare(part)
            for key, part in value.items()
            if key not in _LEFT_OUT
        }
    return [_bare(part) for part in value] if isinstance(value, list) else value


def _beginnings(log_dir: Path, events: list[Record], problems: Problems) -> Iterator[Record]:
    """The record of the segment in which the events begin, and execs and forks of those who are named, oldest
    first. Ancestors of ancestors are among those whom the events name."""
    if not events:
        return
    first = str(events[0].get("time", ""))
    known = {_number(record) for record in events}
    segment: Record | None = None
    before: list[Record] = []
    wanted = OfProcesses(ancestors_of(events), BEGINNINGS)
    for record in records_of(pick(log_dir, wanted, problems)):
        if "segment" in record["tracehound"]:
            segment = record if segment is None or str(record.get("time", "")) <= first else segment
        elif _number(record) not in known:
            before.append(record)
    if segment is not None:
        yield segment
    yield from before


def _number(record: Record) -> tuple[object, object]:
    """What no other record has, but for one of another boot at the same nanosecond."""
    return record["tracehound"].get("sequence"), record.get("time")
