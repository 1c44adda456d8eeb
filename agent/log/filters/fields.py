# SPDX-License-Identifier: Apache-2.0
"""Which fields of an event somebody wants: field filters, applied one after the other.

They work on the parsed record, before it is converted or encoded: what is left out then costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from agent.log.filters import Refused
from agent.log.filters.view import EVENT_KEYS

Json = Mapping[str, Any]
Tree = dict[str, "Tree"]
"""Wanted or unwanted fields; an empty tree stands for everything below."""
Apply = Callable[[Any, Tree], Any]

MAX_PATHS = 512
"""Most paths in one request."""


class FieldFilter(NamedTuple):
    """One field filter."""

    paths: tuple[tuple[str, ...], ...]
    """Names from the event downwards: `("process", "exec_id")`. None: the filter changes nothing."""
    action: str
    """`INCLUDE` or `EXCLUDE`."""
    types: frozenset[str] = frozenset()
    """Keys of the events that it is for (`process_exec`); empty: all."""
    inverted: bool = False
    """Whether it is for all other events instead."""


class FieldSelection:
    """Field filters, ready for use. Raises Refused for too many paths or an unknown action."""

    def __init__(self, filters: Iterable[FieldFilter]) -> None:
        given = list(filters)
        if sum(len(one.paths) for one in given) > MAX_PATHS:
            raise Refused(f"more than {MAX_PATHS} paths")
        self._steps = [_Step(one) for one in given]

    def __bool__(self) -> bool:
        return bool(self._steps)

    def select(self, record: Json) -> Json:
        """The record with the wanted fields of its event; what stands beside the event stays."""
        for key, body in record.items():
            if key in EVENT_KEYS:
                for step in self._steps:
                    body = step.apply(key, body)
                return {**record, key: body}
        return record


class _Step:
    """One field filter."""

    def __init__(self, one: FieldFilter) -> None:
        if one.action not in _ACTIONS:
            raise Refused(f"action: {one.action} is neither INCLUDE nor EXCLUDE")
        self._types, self._inverted, self._apply = one.types, one.inverted, _ACTIONS[one.action]
        self._tree: Tree = {}
        for path in one.paths:
            _add(self._tree, path)

    def apply(self, key: str, body: Json) -> Json:
        if not self._tree or (self._types and (key in self._types) is self._inverted):
            return body
        selected: Json = self._apply(body, self._tree)
        return selected


def _include(value: Any, tree: Tree) -> Any:
    if not tree:
        return value
    if isinstance(value, list):
        return [_include(item, tree) for item in value]
    if not isinstance(value, Mapping):
        return value
    return {name: _include(value[name], below) for name, below in tree.items() if name in value}


def _exclude(value: Any, tree: Tree) -> Any:
    if isinstance(value, list):
        return [_exclude(item, tree) for item in value]
    if not isinstance(value, Mapping):
        return value
    return {
        name: _exclude(item, tree[name]) if name in tree else item
        for name, item in value.items()
        if tree.get(name) != {}
    }


_ACTIONS: dict[str, Apply] = {"INCLUDE": _include, "EXCLUDE": _exclude}


def _add(tree: Tree, names: tuple[str, ...]) -> None:
    """Adds a path; a shorter one swallows longer ones."""
    for name in names[:-1]:
        if tree.get(name) == {}:
            return
        tree = tree.setdefault(name, {})
    tree[names[-1]] = {}
