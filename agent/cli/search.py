# SPDX-License-Identifier: Apache-2.0
"""Finds a process and its family in the log, by scanning it: who had a pid, and who is related."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agent.cli.family import Family, Image, ancestry_of, image_of
from agent.cli.period import Period
from agent.cli.scan import Scan
from agent.cli.when import as_log_time
from agent.errors import UsageError

_EXEC_ID = b'"exec_id":"'
_PARENT_ID = b'"parent_exec_id":"'
_EXEC_HEAD = b'{"process_exec":{"process":{"exec_id":"%b"'


def find_pid(scan: Scan, pid: int, at_ns: int | None) -> str:
    """The exec_id of the first image of the process that had `pid` at a time (default: the newest one).

    Raises UsageError when there is none, with what there is instead.
    """
    period, images = Period(scan.end), dict[str, Image]()
    for record in scan.records([b'"pid":%d,' % pid, b'"pid":%d}' % pid]):
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
    if not before and moment < period.start:
        raise UsageError(
            f"who had pid {images[0].pid} at {moment} is not in the log",
            f"what was read of it begins at {period.start}; the first there began at {images[0].start}",
        )
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


def _value(line: bytes, key: bytes) -> str:
    """The text of the first `key` in a line; exec_ids hold nothing that JSON escapes."""
    start = line.find(key) + len(key)
    return line[start : line.find(b'"', start)].decode("ascii", "replace") if start >= len(key) else ""


def find_family(scan: Scan, exec_id: str) -> tuple[Family, Period]:
    """Ancestors and descendants of an exec_id. Raises UsageError when the log does not know it."""
    family, period = _family_of(scan, exec_id), Period(scan.end)

    def is_related(line: bytes) -> bool:
        """For lines without ancestry: an event of a member, or the exec of a member's child."""
        return _value(line, _EXEC_ID) in family.images or _value(line, _PARENT_ID) in family.images

    for record in scan.records(family.needles, is_related):
        period.note(record)
        try:
            family.add(record)
        except (KeyError, TypeError, AttributeError):
            continue  # a malformed record; `tracehound events` shows it
    return family, period


def _family_of(scan: Scan, exec_id: str) -> Family:
    """A family of one, from the first record that knows it: its own exec, or one of its children's."""
    for record in scan.records([exec_id.encode()]):
        ancestry = ancestry_of(record.get("tracehound") or {})
        for image in _images_in(record):
            if image.exec_id == exec_id:
                family = Family(image)
                family.above = ancestry[1:] if ancestry[:1] == [exec_id] else ancestry
                family.needles += [_EXEC_HEAD % above.encode() for above in family.above]
                return family
    raise UsageError(
        f"no process with exec_id {exec_id} is in the log", "`tracehound events -o wide` shows exec_ids"
    )
