# SPDX-License-Identifier: Apache-2.0
"""Everything that a process and its descendants did, asked of the store, and the proof of the log's chain."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from agent.cli.progress import Progress
from agent.errors import UsageError
from agent.log.inventory import inventory
from agent.log.reader import LogReader
from agent.log.verdict import Verdict
from agent.log.verify import verify
from agent.store.answers import Timeline
from agent.store.queries import Store, find, timeline
from agent.store.report.joining import joined
from agent.store.report.pruning import fewer

MOST_ROOTS = 200
"""Processes that a selector may mean in one report; each has its descendants."""
LATEST = 1 << 62
"""Wall-clock nanoseconds after everything."""


class Wanted(NamedTuple):
    """What was asked for: one of the first six, and a period."""

    exec_id: str = ""
    pid: int | None = None
    pod: str = ""
    container: str = ""
    path: str = ""
    address: str = ""
    at_ns: int | None = None
    since_ns: int | None = None
    until_ns: int | None = None

    @property
    def words(self) -> str:
        """The selector for people: `pod default/web`."""
        named = {
            "pid": self.pid,
            "pod": self.pod,
            "container": self.container,
            "processes that touched": self.path,
            "processes that talked to": self.address,
        }
        return next((f"{name} {value}" for name, value in named.items() if value), f"exec_id {self.exec_id}")


class Incident(NamedTuple):
    """A timeline and where it happened."""

    timeline: Timeline
    node: str
    """Node that wrote the records; empty when there are none."""
    kernel: str
    """Its kernel as the newest live segment tells; empty when there is none."""


def gather(directory: Path, wanted: Wanted, most: int, chain: dict[str, Any] | None) -> Incident:
    """The timeline with the newest `most` happenings and about as many processes. Raises UsageError and
    LogUnavailable."""
    store = Store(directory)
    since, until = wanted.since_ns or 0, LATEST if wanted.until_ns is None else wanted.until_ns
    roots = find(
        store,
        exec_id=wanted.exec_id,
        pid=wanted.pid,
        at_ns=wanted.at_ns,
        pod=wanted.pod,
        container=wanted.container,
        path=wanted.path,
        address=wanted.address,
        since_ns=since,
        until_ns=until,
    )
    if len(roots) > MOST_ROOTS:
        raise UsageError(
            f"{wanted.words}: {len(roots):,} processes, a report takes {MOST_ROOTS}",
            "narrow the period with --since and --until, or choose one with --exec-id",
        )
    found = [timeline(store, root, since_ns=since, until_ns=until, most=most) for root in roots]
    told = fewer(found[0] if len(found) == 1 else _cut(joined(wanted.words, found), most), most)
    told.tree.completeness = dataclasses.replace(told.tree.completeness, chain=chain or {})
    return Incident(told, _node(told), _kernel(directory))


def _cut(told: Timeline, most: int) -> Timeline:
    more = max(0, len(told.happenings) - most)
    return Timeline(told.tree, told.happenings[more:], told.truncated + more)


def _node(told: Timeline) -> str:
    return next((str(one.record["node_name"]) for one in told.happenings if "node_name" in one.record), "")


def _kernel(directory: Path) -> str:
    for entry in LogReader(directory).last(1, types=("segment",)):
        content = entry.record.get("tracehound", {}).get("segment")
        return str(content.get("kernel", "")) if isinstance(content, dict) else ""
    return ""


def proof(directory: Path, since_ns: int | None) -> dict[str, Any]:
    """What `tracehound log verify` says of the segments from `since_ns` on, in a few words for the head."""
    LogReader(directory).tail()  # raises LogUnavailable with the way out
    progress = Progress("verifying the log", sum(item.bytes for item in inventory(directory)))
    try:
        return proof_of(verify(directory, since_ns=since_ns, progress=progress))
    finally:
        progress.close()


def proof_of(verdict: Verdict) -> dict[str, Any]:
    """`ok` and what belongs to it; without a chained segment nothing was proved."""
    proved = sum(verdict.counts.get(form, 0) for form in ("chained", "compacted"))
    told: dict[str, Any] = {"ok": not verdict.faults} if verdict.faults or proved else {}
    told["segments_proved"] = proved
    told |= {f"segments_{form}": verdict.counts.get(form, 0) for form in ("open", "not_chained", "skipped")}
    told["records_read"] = verdict.lines
    told["head"] = verdict.manifest_head
    told["faults"] = [_fault(fault._asdict()) for fault in verdict.faults[:5]]
    return {name: value for name, value in told.items() if value not in (0, "", []) or name == "ok"}


def _fault(fault: Mapping[str, Any]) -> str:
    line = f" line {fault['line']}" if fault["line"] else ""
    return f"{fault['file']}{line} {fault['problem']}"
