# SPDX-License-Identifier: Apache-2.0
"""Finds a process and its family in the log, by scanning it twice.

Both scans look at the bytes of a line before they parse it: nearly all lines have to do with others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.cli.family import Family, Image, image_of
from agent.cli.when import as_log_time
from agent.errors import UsageError
from agent.log.entry import Corrupt, LineTest
from agent.log.reader import LogReader
from agent.log.records import OWN_HEAD
from agent.log.tail import Tail
from agent.log.window import Window

_EXEC_ID = b'"exec_id":"'
_PARENT_ID = b'"parent_exec_id":"'
_EXEC_HEAD = b'{"process_exec":{"process":{"exec_id":"'


@dataclass(slots=True)
class Period:
    """What was read, and where it has holes."""

    end: str = ""
    """Time of the log's last record."""
    start: str = ""
    """Time of the first one that was read."""
    losses: list[dict[str, Any]] = field(default_factory=list)
    """Contents of `loss` records, and of the same shape the times when no agent ran."""
    reboots: list[str] = field(default_factory=list)
    """Times at which segments of another boot begin."""
    _boot: str = ""
    _stopped: str = ""
    _last: str = ""

    def note(self, record: dict[str, Any]) -> None:
        """Take in any record, in the order of the log."""
        time = record.get("time", "")
        own = record.get("tracehound", {})
        if "start" in own:
            if self._stopped:
                self._gap("agent_not_running", self._stopped, time)
            self._stopped = ""
        elif "stop" in own:
            self._stopped = time
        elif "unclean_shutdown" in own:
            self._stopped = own["unclean_shutdown"].get("last_time", "")
        elif "loss" in own:
            self.losses.append(own["loss"])
        elif "notice" in own:
            self._gap("records_removed", self._last, "")
        elif "segment" in own:
            self._enter(own["segment"].get("boot_id", ""), time)
        self.start = self.start or time
        self._last = time or self._last

    def _enter(self, boot: str, time: str) -> None:
        if self._boot and boot != self._boot:
            self.reboots.append(time)
        self._boot = boot

    def _gap(self, cause: str, start: str, end: str) -> None:
        self.losses.append({"cause": cause, "from": start, "to": end or start})


class Scan:
    """One log and the part of it to look at."""

    def __init__(self, directory: Path, since_ns: int | None) -> None:
        last = LogReader(directory).last(1)  # raises LogUnavailable with the way out
        self.end = str(last[0].record.get("time", "")) if last else ""
        """Time of the last record."""
        self._directory = directory
        self._since_ns = since_ns

    def records(self, test: LineTest) -> Iterator[dict[str, Any]]:
        """Own records, and events whose line passes the test, oldest first."""
        window = Window(self._since_ns, None, lambda line: line.startswith(OWN_HEAD) or test(line))
        tail = Tail(self._directory, window, None, _ignore)
        try:
            for entry in tail.entries():
                yield entry.record
        finally:
            tail.close()


def _ignore(_corrupt: Corrupt) -> None:
    """`tracehound events` tells of corrupt lines; a tree has its own warnings."""


def find_pid(scan: Scan, pid: int, at_ns: int | None) -> str:
    """The exec_id of the first image of the process that had `pid` at a time (default: the newest one).

    Raises UsageError when there is none, with what there is instead.
    """
    period, images = Period(scan.end), dict[str, Image]()
    for record in scan.records(re.compile(rb'"pid":%d[,}]' % pid).search):
        period.note(record)
        for image in _images_in(record):
            if image.pid == pid:
                _merge(images, image)
    newest = sorted(images.values(), key=lambda image: image.start)
    if not newest:
        covers = f"the log covers {period.start} to {period.end}" if period.start else "the log is empty"
        raise UsageError(f"no process with pid {pid} is in the log", f"{covers}; `-o json` of events has all")
    chosen = newest[-1] if at_ns is None else _alive_at(newest, as_log_time(at_ns), period)
    while chosen.replaces and chosen.parent_id in images:
        chosen = images[chosen.parent_id]
    return chosen.exec_id


def _images_in(record: dict[str, Any]) -> Iterator[Image]:
    own = record.get("tracehound") or {}
    for kind in ("process_exec", "process_exit"):
        if event := record.get(kind):
            image = image_of(event["process"], own if kind == "process_exec" else None, event.get("parent"))
            image.end = record["time"] if kind == "process_exit" else ""
            yield image
            if "parent" in event:
                yield image_of(event["parent"])
    if event := own.get("fork"):
        yield image_of(event["process"], own)


def _merge(images: dict[str, Image], image: Image) -> None:
    known = images.setdefault(image.exec_id, image)
    known.end = known.end or image.end
    known.replaces = known.replaces or image.replaces


def _alive_at(images: list[Image], moment: str, period: Period) -> Image:
    """The last image that began before `moment`, provided that it had not ended by then."""
    before = [image for image in images if image.start <= moment]
    if not before:
        raise UsageError(
            f"pid {images[0].pid} was not in use at {moment}", f"its first process began at {images[0].start}"
        )
    image = before[-1]
    end = image.end or next((time for time in period.reboots if image.start < time <= moment), "")
    if end and end < moment:
        following = next((other.start for other in images if other.start > moment), "")
        more = f", the next one began at {following}" if following else ""
        raise UsageError(
            f"pid {image.pid} was not in use at {moment}", f"its process before ended at {end}{more}"
        )
    return image


class _Relevant:
    """Whether a line has to do with a family: mentions an image of its root (all descendants do, in their
    ancestry), is an ancestor's exec, or, in logs without ancestry, has a parent in the family."""

    def __init__(self, family: Family) -> None:
        self._family = family

    def __call__(self, line: bytes) -> bool:
        family = self._family
        if any(needle in line for needle in family.needles):
            return True
        if family.above and line.startswith(_EXEC_HEAD) and _value(line, _EXEC_ID) in family.above:
            return True
        if b'"ancestry":' in line:
            return False
        return _value(line, _EXEC_ID) in family.images or _value(line, _PARENT_ID) in family.images


def _value(line: bytes, key: bytes) -> str:
    """The text of the first `key` in a line; exec_ids hold nothing that JSON escapes."""
    start = line.find(key) + len(key)
    return line[start : line.find(b'"', start)].decode("ascii", "replace") if start >= len(key) else ""


def find_family(scan: Scan, exec_id: str) -> tuple[Family, Period]:
    """Ancestors and descendants of an exec_id. Raises UsageError when the log does not know it."""
    family, period = _family_of(scan, exec_id), Period(scan.end)
    for record in scan.records(_Relevant(family)):
        period.note(record)
        try:
            family.add(record)
        except (KeyError, TypeError, AttributeError):
            continue  # a malformed record; `tracehound events` shows it
    return family, period


def _family_of(scan: Scan, exec_id: str) -> Family:
    """A family of one, from the first record that knows it: its own exec, or one of its children's."""
    needle = exec_id.encode()
    for record in scan.records(lambda line: needle in line):
        ancestry = (record.get("tracehound") or {}).get("ancestry", [])
        for image in _images_in(record):
            if image.exec_id == exec_id:
                family = Family(image)
                family.above = ancestry[1:] if ancestry[:1] == [exec_id] else list(ancestry)
                return family
    raise UsageError(
        f"no process with exec_id {exec_id} is in the log", "`tracehound events -o wide` shows exec_ids"
    )
