# SPDX-License-Identifier: Apache-2.0
"""Which records an exporter sends, and which of their fields: the key `filter` of its configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agent.log.filters import Refused
from agent.log.filters.events import EventFilter
from agent.log.filters.fields import FieldFilter, FieldSelection
from agent.log.filters.view import EVENT_TYPES, view
from exporters import options
from exporters.base import OptionError

LEVELS = ("informational", "low", "medium", "high", "critical")
"""Levels of detections, lowest first (Sigma specification, "Level")."""
_KEYS = ("types", "allow", "deny", "fields", "level", "namespaces", "policies", "cel")
Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Selecting:
    """A checked filter."""

    types: tuple[str, ...] | None = None
    """Types of events and kinds of own records; None: all. It is the only part that own records obey."""
    judge: EventFilter | None = None
    """Which events; None: all."""
    fields: FieldSelection | None = None
    """Which of their fields; None: all."""
    level: str = ""
    """Detections below it are left out; empty: none."""

    @property
    def needs_record(self) -> bool:
        """Whether lines have to be parsed for it."""
        return bool(self.judge or self.fields or self.level)

    @property
    def needs_expansion(self) -> bool:
        """Whether it asks for what only the expanded form of an event carries."""
        return self.judge is not None and (self.judge.needs_details or self.judge.needs_family)

    def test(self) -> Callable[[Record], bool]:
        """The function that says whether a parsed record is wanted; types have been looked at before."""
        judge, level = self.judge, LEVELS.index(self.level) if self.level else 0

        def wanted(record: Record) -> bool:
            if level and (told := _level(record)) is not None and told < level:
                return False
            if judge is None:
                return True
            seen = view(record)
            return seen is None or judge.wants(seen)

        return wanted


def check_filter(given: Any) -> Selecting:
    """Raises OptionError."""
    if not isinstance(given, Mapping):
        raise OptionError("", f"is {given!r}", "give a mapping")
    for key in given:
        if key not in _KEYS:
            raise OptionError(str(key), "is no key of a filter", f"there are {', '.join(_KEYS)}")
    level = options.convert("level", str, given.get("level", ""))
    if level:
        options.check_choice("level", level, LEVELS)
    types = options.convert("types", tuple, given["types"]) if "types" in given else None
    return Selecting(types, _judge(given), _fields(given), level)


def _judge(given: Mapping[str, Any]) -> EventFilter | None:
    """The shorthands narrow every filter of the allow list."""
    short: dict[str, Any] = {}
    for key, member in (("namespaces", "namespace"), ("policies", "policy_names")):
        if key in given:
            short[member] = list(options.convert(key, tuple, given[key]))
    if "cel" in given:
        short["cel_expression"] = [options.convert("cel", str, given["cel"])]
    allow, deny = _filters("allow", given), _filters("deny", given)
    if short:
        allow = [_joined(one, short) for one in allow or [{}]]
    if not allow and not deny:
        return None
    try:
        return EventFilter(allow, deny)
    except Refused as error:
        key, _, problem = str(error).partition(": ")
        raise OptionError(_key_of(key, short), problem or str(error)) from None


def _key_of(place: str, short: Mapping[str, Any]) -> str:
    """The key of the file that a place like `allow_list[0].cel_expression` stands for."""
    member = place.rpartition(".")[2]
    if member in short:
        return {"namespace": "namespaces", "policy_names": "policies", "cel_expression": "cel"}[member]
    return place.replace("_list", "", 1)


def _joined(one: Any, short: Mapping[str, Any]) -> Any:
    if not isinstance(one, Mapping):
        return one
    if twice := sorted(one.keys() & short.keys()):
        raise OptionError("allow", f"has {twice[0]}, which the shorthand beside it says, too", "drop one")
    return {**one, **short}


def _filters(key: str, given: Mapping[str, Any]) -> list[Any]:
    filters = given.get(key, [])
    if not isinstance(filters, list):
        raise OptionError(key, f"is {filters!r}", "give a list of filters")
    return filters


def _fields(given: Mapping[str, Any]) -> FieldSelection | None:
    filters = _filters("fields", given)
    try:
        return FieldSelection(map(_field_filter, filters)) if filters else None
    except Refused as error:
        raise OptionError("fields", str(error)) from None


def _field_filter(one: Any) -> FieldFilter:
    """In the JSON form of Tetragon's message: `fields` is one text with commas, as protobuf's FieldMask."""
    if not isinstance(one, Mapping) or not set(one) <= {"event_set", "fields", "action", "invert_event_set"}:
        raise Refused(f"{one!r} is no field filter: give event_set, fields, action, invert_event_set")
    types = one.get("event_set", [])
    if not isinstance(types, list) or not set(types) <= set(EVENT_TYPES):
        raise Refused(f"event_set: {types!r} is no list of {', '.join(EVENT_TYPES)}")
    given = one.get("fields", "")
    paths = given if isinstance(given, list) else str(given).split(",")
    return FieldFilter(
        tuple(_path(path) for path in paths if path),
        str(one.get("action", "INCLUDE")),
        frozenset(EVENT_TYPES[name] for name in types),
        one.get("invert_event_set") is True,
    )


def _path(text: Any) -> tuple[str, ...]:
    """`process.execId` and `process.exec_id` are the same field."""
    from exporters.fieldnames import known_name

    return tuple(known_name(part, str(text)) for part in str(text).strip().split("."))


def _level(record: Record) -> int | None:
    own = record.get("tracehound")
    detection = own.get("detection") if isinstance(own, dict) else None
    level = detection.get("level") if isinstance(detection, dict) else None
    return LEVELS.index(level) if level in LEVELS else None
