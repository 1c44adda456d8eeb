# SPDX-License-Identifier: Apache-2.0
"""Which fields of an event a client wants: its `FieldFilter` messages, checked against the interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from agent.api.convert import EVENT_NUMBERS, is_map, is_plain_json
from agent.api.proto.tetragon import events_pb2
from agent.log.filters import Refused
from agent.log.filters import fields as filters

_EVENTS = events_pb2.GetEventsResponse.DESCRIPTOR.oneofs_by_name["event"].fields
_KEYS = {number: key for key, number in EVENT_NUMBERS.items()}


class FieldSelection(filters.FieldSelection):
    """The field filters of one request, compiled. Raises Refused when a path names nothing."""

    def __init__(self, given: Sequence[events_pb2.FieldFilter]) -> None:
        if sum(len(one.fields.paths) for one in given) > filters.MAX_PATHS:
            raise Refused(f"field_filters: more than {filters.MAX_PATHS} paths")
        super().__init__(_field_filter(f"field_filters[{index}]", one) for index, one in enumerate(given))


def _field_filter(place: str, one: events_pb2.FieldFilter) -> filters.FieldFilter:
    if one.action not in (events_pb2.INCLUDE, events_pb2.EXCLUDE):
        raise Refused(f"{place}.action: {one.action} is neither INCLUDE nor EXCLUDE")
    return filters.FieldFilter(
        tuple(_resolve(path, f"{place}.fields") for path in one.fields.paths),
        "INCLUDE" if one.action == events_pb2.INCLUDE else "EXCLUDE",
        frozenset(_KEYS.get(number, "") for number in one.event_set),
        one.invert_event_set.value,
    )


def _resolve(path: str, place: str) -> tuple[str, ...]:
    """The field names of a path, which must exist in at least one type of event."""
    for event in _EVENTS:
        names = _names(path.split("."), event.message_type)
        if names:
            return names
    raise Refused(f"{place}: no event has the field {path!r}")


def _names(parts: list[str], inside: Any) -> tuple[str, ...]:
    """Proto names of the parts, however they are written; empty when one does not exist."""
    names: list[str] = []
    for part in parts:
        member = _find(part, inside)
        if member is None:
            return ()
        names.append(member.name)
        inside = None if is_map(member) or is_plain_json(member) else member.message_type
    return tuple(names)


def _find(part: str, inside: Any) -> FieldDescriptor | None:
    """A field by its name; clients write `exec_id`, `execId` and `ExecId`."""
    if inside is None:
        return None
    wanted = _plain(part)
    return next((member for member in inside.fields if _plain(member.name) == wanted), None)


def _plain(name: str) -> str:
    return name.replace("_", "").lower()
