# SPDX-License-Identifier: Apache-2.0
"""How far an answer may be trusted: what period was there to be read, what was lost in it, which lines are
gone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import orjson

from agent.log.times import format_time, parse_time
from agent.store.answers import Completeness
from agent.store.lineage import Lineage
from agent.store.live import Live

Note = tuple[int, str, Mapping[str, Any], str]


class Span(NamedTuple):
    """One segment that is there."""

    name: str
    boot_id: str
    previous: str
    first_sequence: int
    last_sequence: int
    first_ns: int
    last_ns: int


class Coverage(NamedTuple):
    """Of the whole log."""

    from_ns: int
    to_ns: int
    losses: list[dict[str, Any]]
    """In the order of the log; of the shape of a `loss` record's content."""
    gaps: list[tuple[int, int]]
    reboots: list[int]
    """Wall-clock nanoseconds."""
    notes: tuple[str, ...] = ()

    def within(self, from_ns: int, to_ns: int) -> Completeness:
        """For an answer about a period (wall-clock nanoseconds)."""
        return Completeness(
            self.from_ns,
            self.to_ns,
            [loss for loss in self.losses if falls_into(loss, from_ns, to_ns)],
            self.gaps,
            reboots=self.reboots,
            notes=self.notes,
        )


def coverage_of(lineage: Lineage | None, live: Live, notes: Iterable[str] = ()) -> Coverage:
    """What index and live lines tell about the log."""
    spans = {one.name: Span(one.name, *_rest(one)) for one in live.segments}
    told: list[Note] = []
    if lineage is not None:
        spans |= {one.name: Span(one.name, *_rest(one)) for one in lineage.segments()}
        told = [(at, kind, orjson.loads(content), boot) for at, kind, content, boot in lineage.notes()]
    told += live.notes
    ordered = [spans[name] for name in sorted(spans)]
    losses, reboots = _losses(told)
    removed, gaps = _missing(ordered, told)
    starts = [one.first_ns for one in ordered if one.first_ns]
    ends = [one.last_ns for one in ordered if one.last_ns]
    return Coverage(
        min(starts, default=0), max(ends, default=0), losses + removed, gaps, reboots, tuple(notes)
    )


def falls_into(loss: Mapping[str, Any], from_ns: int, to_ns: int) -> bool:
    """Whether a loss touches a period; one without times touches all."""
    return nanoseconds(loss.get("from"), 0) <= to_ns and nanoseconds(loss.get("to"), 1 << 63) >= from_ns


def nanoseconds(stamp: object, default: int) -> int:
    """A time of a loss as wall-clock nanoseconds."""
    try:
        return parse_time(str(stamp))
    except ValueError:
        return default


def _rest(one: Any) -> tuple[str, str, int, int, int, int]:
    return (one.boot_id, one.previous, one.first_sequence, one.last_sequence, one.first_ns, one.last_ns)


def _losses(notes: Sequence[Note]) -> tuple[list[dict[str, Any]], list[int]]:
    """Losses, and the times when no agent ran in their shape; reboots."""
    losses: list[dict[str, Any]] = []
    reboots: list[int] = []
    stopped, boot = "", ""
    for at, kind, content, boot_id in notes:
        if kind == "loss":
            losses.append(dict(content))
        elif kind == "stop":
            stopped = format_time(at)
        elif kind == "unclean_shutdown":
            stopped = str(content.get("last_time", ""))
        elif kind == "start" and stopped:
            losses.append({"cause": "agent_not_running", "from": stopped, "to": format_time(at)})
            stopped = ""
        if boot_id != boot:
            reboots += [at] if boot else []
            boot = boot_id
    return losses, reboots


def _missing(
    spans: Sequence[Span], notes: Sequence[Note]
) -> tuple[list[dict[str, Any]], list[tuple[int, int]]]:
    """What was removed and said so, as losses; missing numbers of which nothing tells."""
    removed = {str(content.get("removed", "")) for _, kind, content, _ in notes if kind == "retention"}
    losses: list[dict[str, Any]] = []
    gaps: list[tuple[int, int]] = []
    for before, after in pairwise(spans):
        if after.previous in ("", before.name):
            hole = before.boot_id == after.boot_id and before.last_sequence
            if hole and after.first_sequence > before.last_sequence + 1:
                gaps.append((before.last_sequence + 1, after.first_sequence - 1))
            continue
        losses.append(
            {
                "cause": "records_removed",
                "from": format_time(before.last_ns or before.first_ns),
                "to": format_time(after.first_ns or before.last_ns),
            }
        )
        if before.boot_id == after.boot_id and after.previous not in removed and before.last_sequence:
            gaps.append((before.last_sequence + 1, after.first_sequence - 1))
    return losses, gaps
