# SPDX-License-Identifier: Apache-2.0
"""What records tell of the lives of processes: began, ended, whose child. The same for index and live
lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from agent.log.times import parse_time

Record = Mapping[str, Any]
PERIOD_KINDS = frozenset(("segment", "start", "stop", "unclean_shutdown", "loss", "retention", "clock_step"))
"""Own records that say how complete an answer is."""


class Life(NamedTuple):
    """One fact about one process."""

    exec_id: str
    parent_exec_id: str = ""
    pid: int = 0
    uid: int | None = None
    binary: str = ""
    arguments: str = ""
    cwd: str = ""
    user: str = ""
    container: str = ""
    namespace: str = ""
    pod: str = ""
    start_ns: int = 0
    """Wall-clock nanoseconds; 0 when it is not told."""
    end_ns: int = 0
    """Wall-clock nanoseconds of the exit, 0 in facts that are no exit."""
    status: int = 0
    signal: str = ""
    recorded: bool = False
    """Whether the fact is its exec or fork."""
    replaces: bool = False
    sequence: int = 0
    """Of the record; 0 when the process is only named in another's."""
    last_sequence: int = 0
    """Of the exit, where the fact is exec and exit in one."""


_KINDS = tuple(type(value) for value in Life("")[4:])
_LARGEST = 1 << 63


def is_sound(life: Life) -> bool:
    """Whether all of it is as an index can keep it: somebody else's lines can say anything."""
    texts, (pid, uid) = life[:2], life[2:4]
    pairs = zip(
        (*texts, pid, 0 if uid is None else uid, *life[4:]), (str, str, int, int, *_KINDS), strict=True
    )
    return all(isinstance(value, kind) and _fits(value) for value, kind in pairs)


def _fits(value: object) -> bool:
    return not isinstance(value, int) or -_LARGEST <= value < _LARGEST


def lives_in(record: Record) -> Iterator[Life]:
    """What a record tells, of the parent first. Malformed parts are passed over."""
    own = record.get("tracehound") or {}
    kind = next(iter(record), "")
    event = own.get("fork") if kind == "tracehound" else record.get(kind)
    if not isinstance(event, dict) or not isinstance(event.get("process"), dict):
        return
    try:
        yield from _lives(kind, event, own, str(record.get("time", "")))
    except (KeyError, TypeError, AttributeError, ValueError):
        return


def _lives(kind: str, event: Record, own: Record, stamp: str) -> Iterator[Life]:
    process, parent = event["process"], event.get("parent") or {}
    if parent.get("exec_id"):
        yield life_of(parent, {})
    life = life_of(process, parent)._replace(sequence=own.get("sequence", 0))
    if kind in ("process_exec", "tracehound"):
        yield life._replace(
            recorded=True, user=own.get("user") or "", start_ns=life.start_ns or nanoseconds(stamp)
        )
    elif kind == "process_exit":
        ended = nanoseconds(stamp)
        yield life._replace(end_ns=ended, status=event.get("status", 0), signal=event.get("signal") or "")
    else:
        yield life


def life_of(process: Record, parent: Record) -> Life:
    """What a process object tells; `parent` is that of the same event."""
    pod = process.get("pod") or {}
    above = process.get("parent_exec_id") or parent.get("exec_id") or ""
    return Life(
        process["exec_id"],
        above,
        process.get("pid") or 0,
        process.get("uid"),
        process.get("binary") or "",
        process.get("arguments") or "",
        process.get("cwd") or "",
        "",
        container_of(process),
        pod.get("namespace") or "",
        pod.get("name") or "",
        nanoseconds(process.get("start_time") or ""),
        replaces=bool(parent) and parent.get("pid") == process.get("pid") and parent.get("exec_id") == above,
    )


def container_of(process: Record) -> str:
    """The container's id without the runtime's name, as in the store's column."""
    pod = process.get("pod") or {}
    identity: str = (pod.get("container") or {}).get("id") or process.get("docker") or ""
    return identity.partition("://")[2] if "://" in identity else identity


def nanoseconds(stamp: str) -> int:
    """A time of the log as wall-clock nanoseconds; 0 when it is none."""
    try:
        return parse_time(stamp)
    except ValueError:
        return 0


def note_in(record: Record) -> tuple[str, Record] | None:
    """Kind and content of an own record that says how complete the log is."""
    own = record.get("tracehound")
    if not isinstance(own, dict):
        return None
    kind = next((key for key in own if key != "sequence"), "")
    content = own.get(kind)
    return (kind, content) if kind in PERIOD_KINDS and isinstance(content, dict) else None
