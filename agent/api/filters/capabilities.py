# SPDX-License-Identifier: Apache-2.0
"""The `capabilities` member of a filter. It looks at `process.cap`, which the expanded form carries."""

from __future__ import annotations

from collections.abc import Callable

from agent.api.filters import Refused
from agent.api.filters.view import View
from agent.api.proto.tetragon import capabilities_pb2, events_pb2

Names = frozenset[str]
_FITS: dict[str, Callable[[Names, Names], bool]] = {
    "any": lambda held, asked: not held.isdisjoint(asked),
    "all": lambda held, asked: held >= asked,
    "exactly": lambda held, asked: held == asked,
    "none": lambda held, asked: held.isdisjoint(asked),
}


def capabilities(wanted: events_pb2.CapFilter) -> Callable[[View], bool]:
    """All given sets (permitted, effective, inheritable) must fit."""
    tests = [_set(member.name, value) for member, value in wanted.ListFields()]

    def match(event: View) -> bool:
        held = event.process.get("cap")
        return held is not None and all(
            fits(frozenset(held.get(name, ())), asked) for name, fits, asked in tests
        )

    return match


def _set(name: str, wanted: events_pb2.CapFilterSet) -> tuple[str, Callable[[Names, Names], bool], Names]:
    given = wanted.ListFields()
    if len(given) != 1:
        raise Refused(f"{name}: exactly one of any, all, exactly and none must be given")
    member, values = given[0]
    return name, _FITS[member.name], frozenset(map(capabilities_pb2.CapabilitiesType.Name, values))
