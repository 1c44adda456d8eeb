# SPDX-License-Identifier: Apache-2.0
"""Which fields of an event a client wants: its `FieldFilter` messages, applied one after the other.

They work on the parsed record, before it becomes a message: what is left out then costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from agent.api.convert import EVENT_NUMBERS, is_map, is_plain_json
from agent.api.filters import Refused
from agent.api.proto.tetragon import events_pb2

Json = Mapping[str, Any]
Tree = dict[str, "Tree"]
"""Wanted or unwanted fields; an empty tree stands for everything below."""
Apply = Callable[[Any, Tree], Any]

MAX_PATHS = 512
"""Most paths in one request."""
_EVENTS = events_pb2.GetEventsResponse.DESCRIPTOR.oneofs_by_name["event"].fields


class FieldSelection:
    """The field filters of one request, compiled. Raises Refused when a path names nothing."""

    def __init__(self, filters: Sequence[events_pb2.FieldFilter]) -> None:
        if sum(len(one.fields.paths) for one in filters) > MAX_PATHS:
            raise Refused(f"field_filters: more than {MAX_PATHS} paths")
        self._steps = [_Step(f"field_filters[{index}]", one) for index, one in enumerate(filters)]

    def __bool__(self) -> bool:
        return bool(self._steps)

    def select(self, record: Json) -> Json:
        """The record with the wanted fields of its event; what stands beside the event stays."""
        for key, body in record.items():
            number = EVENT_NUMBERS.get(key)
            if number is not None:
                for step in self._steps:
                    body = step.apply(number, body)
                return {**record, key: body}
        return record


class _Step:
    """One field filter."""

    def __init__(self, place: str, one: events_pb2.FieldFilter) -> None:
        self._types = frozenset(one.event_set)
        self._inverted = one.invert_event_set.value
        self._tree: Tree = {}
        for path in one.fields.paths:
            _add(self._tree, _resolve(path, f"{place}.fields"))
        if one.action not in _ACTIONS:
            raise Refused(f"{place}.action: {one.action} is neither INCLUDE nor EXCLUDE")
        self._apply = _ACTIONS[one.action]

    def apply(self, number: int, body: Json) -> Json:
        if not self._tree or (self._types and (number in self._types) is self._inverted):
            return body
        selected: Json = self._apply(body, self._tree)
        return selected


def _include(value: Any, tree: Tree) -> Any:
    if not tree:
        return value
    if isinstance(value, list):
        return [_include(item, tree) for item in value]
    return {name: _include(value[name], below) for name, below in tree.items() if name in value}


def _exclude(value: Any, tree: Tree) -> Any:
    if isinstance(value, list):
        return [_exclude(item, tree) for item in value]
    return {
        name: _exclude(item, tree[name]) if name in tree else item
        for name, item in value.items()
        if tree.get(name) != {}
    }


_ACTIONS: dict[int, Apply] = {events_pb2.INCLUDE: _include, events_pb2.EXCLUDE: _exclude}


def _add(tree: Tree, names: list[str]) -> None:
    """Adds a path; a shorter one swallows longer ones."""
    for name in names[:-1]:
        if tree.get(name) == {}:
            return
        tree = tree.setdefault(name, {})
    tree[names[-1]] = {}


def _resolve(path: str, place: str) -> list[str]:
    """The field names of a path, which must exist in at least one type of event."""
    for event in _EVENTS:
        names = _names(path.split("."), event.message_type)
        if names:
            return names
    raise Refused(f"{place}: no event has the field {path!r}")


def _names(parts: list[str], inside: Any) -> list[str]:
    """Proto names of the parts, however they are written; empty when one does not exist."""
    names: list[str] = []
    for part in parts:
        member = _find(part, inside)
        if member is None:
            return []
        names.append(member.name)
        inside = None if is_map(member) or is_plain_json(member) else member.message_type
    return names


def _find(part: str, inside: Any) -> FieldDescriptor | None:
    """A field by its name; clients write `exec_id`, `execId` and `ExecId`."""
    if inside is None:
        return None
    wanted = _plain(part)
    return next((member for member in inside.fields if _plain(member.name) == wanted), None)


def _plain(name: str) -> str:
    return name.replace("_", "").lower()
