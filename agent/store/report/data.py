# SPDX-License-Identifier: Apache-2.0
"""A timeline as the data that a page's script reads: columns of plain values, times relative to one moment.

JavaScript's numbers hold integers up to 2**53 (ECMA-262, Number.MAX_SAFE_INTEGER); nanoseconds since 1970 are
larger. So `base` is a text, and times are differences from it, null when unknown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agent.log.times import parse_time
from agent.store.answers import Happening, Process, Timeline
from agent.store.report import summaries
from agent.store.report.facts import Facts
from agent.store.report.groups import MOST_PROCESSES, Groups
from agent.store.report.lanes import LANES, NUMBER, lane_of, own_of
from agent.store.report.records import BLOCK, packed
from agent.store.report.text import with_bytes

PROCESS = (
    "exec_id",
    "pid",
    "parent",
    "relation",
    "binary",
    "arguments",
    "cwd",
    "uid",
    "user",
    "container",
    "namespace",
    "pod",
    "start",
    "end",
    "status",
    "signal",
    "replaces",
    "replaced",
    "recorded",
    "state",
)
"""Columns of a process. `parent` is an index, -1 for none. `relation` is ancestor, root, descendant, or group
(stands above several roots). `state` is that of the answer, or `unknown` (only named by others), or
`restarted` (ended with its machine)."""
HAPPENING = (
    "time",
    "sequence",
    "lane",
    "process",
    "type",
    "summary",
    "function",
    "policy",
    "outcome",
    "path",
    "address",
)
"""Columns of a happening. `lane` and `process` are indexes; `process` is -1 where it is not in the tree."""


def page_data(timeline: Timeline, facts: Facts) -> dict[str, Any]:
    """Everything that the page shows below its head, for `text.island`."""
    base = _base(timeline)
    processes = list(_family(timeline))
    index = _places(processes)
    own = _own_of_execs(timeline.happenings)
    return {
        "base": str(base),
        "lanes": LANES,
        "processes": {
            "columns": PROCESS,
            "rows": [
                [*_process_row(number, one, index, own, base), _state(one[0], timeline)]
                for number, one in enumerate(processes)
            ],
        },
        "happenings": {
            "columns": HAPPENING,
            "rows": [_happening_row(one, index, base) for one in timeline.happenings],
        },
        "losses": list(_losses(timeline, base)),
        "findings": _finding_rows(timeline, index, base),
        "tables": _tables(timeline, index, base),
        "block": BLOCK,
        "records": list(packed([one.record for one in timeline.happenings])),
        "hidden": facts.hidden,
    }


def _base(timeline: Timeline) -> int:
    """The first happening; processes may be months older."""
    times = [one.time_ns for one in timeline.happenings if one.time_ns]
    return min(times, default=timeline.tree.root.start_ns or timeline.tree.completeness.from_ns)


def _family(timeline: Timeline) -> Iterator[tuple[Process, str, str]]:
    """Process, exec_id of the one above it, relation to the root; ancestors first, then the tree."""
    tree = timeline.tree
    above = ""
    for process in tree.ancestors:
        yield process, above, "ancestor"
        above = process.exec_id
    parents = {tree.root.exec_id: above}
    for _, process, _ in tree.walk():
        parents.update((child.exec_id, process.exec_id) for child in process.children)
        relation = "descendant"
        if process is tree.root:
            relation = "root" if process.exec_id else "group"
        yield process, parents.get(process.exec_id, ""), relation


def _places(processes: list[tuple[Process, str, str]]) -> dict[str, int]:
    """Where each exec_id comes first."""
    index: dict[str, int] = {}
    for number, (process, _, _) in enumerate(processes):
        if process.exec_id:
            index.setdefault(process.exec_id, number)
    return index


def _own_of_execs(happenings: list[Happening]) -> dict[str, Mapping[str, Any]]:
    """What stands under `tracehound` of execs with bytes that are no UTF-8, by exec_id."""
    return {
        one.exec_id: own_of(one) for one in happenings if one.type == "process_exec" if "raw" in own_of(one)
    }


def _process_row(
    number: int,
    member: tuple[Process, str, str],
    index: dict[str, int],
    own: dict[str, Mapping[str, Any]],
    base: int,
) -> list[Any]:
    one, above, relation = member
    texts = {"binary": one.binary, "arguments": one.arguments, "cwd": one.cwd}
    if one.exec_id in own:
        texts = with_bytes(texts, own[one.exec_id])
    return [
        one.exec_id,
        one.pid,
        _parent(index, above, number),
        relation,
        texts["binary"],
        texts["arguments"],
        texts["cwd"],
        one.uid,
        one.user,
        one.container,
        one.namespace,
        one.pod,
        _since(one.start_ns, base),
        _since(one.end_ns, base),
        one.status,
        one.signal,
        one.replaces,
        _since(one.replaced_ns, base),
        one.recorded,
    ]


def _parent(index: dict[str, int], above: str, number: int) -> int:
    """The place of the one above, always before `number`: the page may follow it to the end.

    Without an exec_id it is the stand-in for several roots, which comes first.
    """
    parent = index.get(above, -1) if above else 0
    return parent if parent < number else -1


def _state(process: Process, timeline: Timeline) -> str:
    """Nobody who was running at a reboot was running after it."""
    if not process.exec_id:
        return ""
    if process.state != "running":
        return process.state
    if any(moment > process.start_ns > 0 for moment in timeline.tree.completeness.reboots):
        return "restarted"
    return "running" if process.binary else "unknown"


def _happening_row(one: Happening, index: dict[str, int], base: int) -> list[Any]:
    return [
        one.time_ns - base,
        one.sequence,
        NUMBER[lane_of(one)],
        index.get(one.exec_id, -1),
        one.type,
        one.summary,
        one.function,
        one.policy,
        summaries.outcome(one),
        one.path,
        one.address,
    ]


def _since(wall_ns: int, base: int) -> int | None:
    return wall_ns - base if wall_ns else None


def _losses(timeline: Timeline, base: int) -> Iterator[list[Any]]:
    """From, to, cause: what the timeline marks as dark."""
    for loss in timeline.tree.completeness.losses:
        try:
            start, end = (parse_time(str(loss[name])) - base for name in ("from", "to"))
        except (KeyError, ValueError):
            continue
        yield [start, end, str(loss.get("cause", ""))]


def _finding_rows(timeline: Timeline, index: dict[str, int], base: int) -> list[dict[str, Any]]:
    found = summaries.findings(timeline.happenings)
    return sorted(_rows(found, index, base, "kind", "attack", "level", "outcome"), key=summaries.urgency)


def _tables(timeline: Timeline, index: dict[str, int], base: int) -> dict[str, list[dict[str, Any]]]:
    happenings = timeline.happenings
    peers = _rows(summaries.network(happenings), index, base, "scope", "protocol", "function", "outcome")
    return {
        "network": peers,
        "files": _rows(summaries.files(happenings), index, base, "function", "outcome"),
        "privileges": _rows(summaries.privileges(timeline), index, base, "how"),
    }


def _rows(groups: Groups, index: dict[str, int], base: int, *columns: str) -> list[dict[str, Any]]:
    rows = []
    for key, group, words in groups.table(*columns):
        most = sorted(group.processes.items(), key=lambda item: -item[1])
        rows.append(
            {
                "key": key[-1] if isinstance(key, tuple) else key,
                "count": group.count,
                "first": _since(group.first_ns, base),
                "last": _since(group.last_ns, base),
                "processes": [index[one] for one, _ in most if one in index][:MOST_PROCESSES],
                "process_count": len(most),
                **words,
            }
        )
    return rows
