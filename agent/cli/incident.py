# SPDX-License-Identifier: Apache-2.0
"""Everything that a process and its descendants did, by scanning the log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.cli.clock import Clock
from agent.cli.color import PLAIN
from agent.cli.family import Family, Image
from agent.cli.period import Period
from agent.cli.render_own import own_kind, render_own
from agent.cli.render_policy import describe_hook
from agent.cli.scan import Scan
from agent.cli.search import find_family
from agent.log.times import parse_time
from agent.store.answers import Completeness, Happening, Process, Timeline, Tree
from agent.store.flat import COLUMNS, flatten

QUIET = frozenset({"segment", "heartbeat", "retention", "fork", "notice"})
"""Own records that say nothing about an incident; a fork stands in the tree."""
_LATE = "9999"
_FIELDS = {name: COLUMNS.index(name) for name in ("function", "policy", "action", "path", "address", "port")}


@dataclass(frozen=True, slots=True)
class Incident:
    """A timeline and where it happened."""

    timeline: Timeline
    node: str
    """Node that wrote the records; empty when there are none."""
    kernel: str
    """Its kernel as the newest segment tells; empty when none does."""


def gather(directory: Path, exec_id: str, since_ns: int | None, until_ns: int | None, most: int) -> Incident:
    """The timeline of a process with at most `most` happenings. Raises UsageError and LogUnavailable."""
    scan = Scan(directory, since_ns)
    family, period = find_family(scan, exec_id)
    timeline = Timeline(tree_of(family, period, until_ns), [])
    node = kernel = ""
    for record in scan.records(family.needles):
        node = node or str(record.get("node_name", ""))
        kernel = str((record.get("tracehound", {}).get("segment") or {}).get("kernel", kernel))
        one = happening_of(record)
        if one is None or not _belongs(one, family, period, until_ns):
            continue
        if len(timeline.happenings) < most:
            timeline.happenings.append(one)
        else:
            timeline.truncated += 1
    timeline.happenings.sort(key=lambda one: one.time_ns)
    return Incident(timeline, node, kernel)


def _belongs(one: Happening, family: Family, period: Period, until_ns: int | None) -> bool:
    """Events of the tree, and what befell the agent while the tree lived."""
    if until_ns is not None and one.time_ns > until_ns:
        return False
    if one.exec_id:
        return one.exec_id in family.images
    return nanoseconds(family.root.start) <= one.time_ns <= nanoseconds(_end_of(family, period))


def _end_of(family: Family, period: Period) -> str:
    """When the last process of the tree ended; the log's end while one runs."""
    if any(image.state == "running" for image in family.images.values()):
        return period.end
    return max((image.end for image in family.images.values()), default="") or period.end


def tree_of(family: Family, period: Period, until_ns: int | None) -> Tree:
    """A family in the dataclasses of the store; without processes that began after `until_ns`."""
    start, end = family.root.start, _end_of(family, period)
    losses = [one for one in period.losses if one.get("from", "") <= end and one.get("to", _LATE) >= start]
    told = Completeness(nanoseconds(period.start), nanoseconds(period.end), losses)
    root = process_of(family.root)
    stack = [(family.root, root)]
    while stack:
        image, process = stack.pop()
        for child in sorted(image.children, key=lambda one: one.start):
            if until_ns is None or nanoseconds(child.start) <= until_ns:
                below = process_of(child)
                process.children.append(below)
                stack.append((child, below))
    return Tree(root, [process_of(image) for image in family.line_of_ancestors()], told, int(family.full))


def process_of(image: Image) -> Process:
    """One image, its vector of arguments joined as in `process.arguments`."""
    words = image.arguments
    return Process(
        exec_id=image.exec_id,
        pid=image.pid,
        parent_exec_id=image.parent_id,
        binary=image.binary,
        arguments=words if isinstance(words, str) else " ".join(words[1:]),
        uid=image.uid,
        user=image.user,
        container=image.container,
        start_ns=nanoseconds(image.start),
        end_ns=nanoseconds(image.end),
        status=image.status,
        signal=image.signal,
        replaces=image.replaces,
        replaced_ns=nanoseconds(image.replaced_at),
        recorded=image.recorded,
    )


def nanoseconds(time: str) -> int:
    """Wall-clock nanoseconds of a time of the log; 0 when it is none."""
    try:
        return parse_time(time)
    except ValueError:
        return 0


def happening_of(record: Mapping[str, Any]) -> Happening | None:
    """One record as a row; None for those that say nothing about an incident."""
    kind = own_kind(record) if next(iter(record), "") == "tracehound" else next(iter(record), "")
    if kind in QUIET or not kind:
        return None
    try:
        return _happening(kind, record)
    except (KeyError, TypeError, AttributeError, ValueError):
        return None  # a malformed record; `tracehound events` shows it


def _happening(kind: str, record: Mapping[str, Any]) -> Happening:
    row = flatten(record, "")
    found = {name: row[index] or "" for name, index in _FIELDS.items()}
    port = found.pop("port")
    if found["address"]:
        host = f"[{found['address']}]" if ":" in found["address"] else found["address"]
        found["address"] = f"{host}:{port or 0}"
    event = record.get(kind) or {}
    exec_id = (event.get("process") or {}).get("exec_id", "")
    summary = _SUMMARIES.get(kind, _hook if kind.startswith("process_") else _own)(event, record)
    sequence = record["tracehound"]["sequence"]
    return Happening(
        parse_time(record["time"]), sequence, kind, exec_id, summary, record=dict(record), **found
    )


def _exec(event: Mapping[str, Any], _record: Mapping[str, Any]) -> str:
    return f"exec {event['process']['binary']} {event['process'].get('arguments', '')}".strip()


def _exit(event: Mapping[str, Any], _record: Mapping[str, Any]) -> str:
    return f"exit {event.get('signal') or 'status ' + str(event.get('status', 0))}"


def _hook(event: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    bare = {name: value for name, value in event.items() if name not in ("policy_name", "action")}
    return describe_hook(bare, PLAIN)


def _own(_event: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    without_time = {name: value for name, value in record.items() if name != "time"}
    return render_own(without_time, Clock(full=True), PLAIN).lstrip("-! ")


_SUMMARIES: dict[str, Callable[[Mapping[str, Any], Mapping[str, Any]], str]] = {
    "process_exec": _exec,
    "process_exit": _exit,
}
