# SPDX-License-Identifier: Apache-2.0
"""The `capabilities` member of a filter. It looks at `process.cap`, which the expanded form carries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agent.log.filters import Refused
from agent.log.filters.view import View

Names = frozenset[str]
_FITS: dict[str, Callable[[Names, Names], bool]] = {
    "any": lambda held, asked: not held.isdisjoint(asked),
    "all": lambda held, asked: held >= asked,
    "exactly": lambda held, asked: held == asked,
    "none": lambda held, asked: held.isdisjoint(asked),
}
_SETS = ("permitted", "effective", "inheritable")


def capabilities(wanted: Mapping[str, Any]) -> Callable[[View], bool]:
    """All given sets (permitted, effective, inheritable) must fit. Raises Refused."""
    if not isinstance(wanted, Mapping) or not set(wanted) <= set(_SETS):
        raise Refused(f"must have {', '.join(_SETS)}, each with any, all, exactly or none")
    tests = [_set(name, value) for name, value in wanted.items()]

    def match(event: View) -> bool:
        held = event.process.get("cap")
        return held is not None and all(
            fits(frozenset(held.get(name, ())), asked) for name, fits, asked in tests
        )

    return match


def _set(name: str, wanted: Any) -> tuple[str, Callable[[Names, Names], bool], Names]:
    if not isinstance(wanted, Mapping) or len(wanted) != 1 or not set(wanted) <= set(_FITS):
        raise Refused(f"{name}: exactly one of any, all, exactly and none must be given")
    [(member, values)] = wanted.items()
    return name, _FITS[member], frozenset(values)
