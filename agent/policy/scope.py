# SPDX-License-Identifier: Apache-2.0
"""What the selectors of a hook refer to."""

from __future__ import annotations

from dataclasses import dataclass

from agent.policy.lists import Lists
from agent.policy.model import Argument
from agent.policy.report import Report
from agent.policy.typenames import TYPES, Type


@dataclass(frozen=True, slots=True)
class Scope:
    """A hook while its selectors are read."""

    kind: str
    """As in Hook.kind."""
    target: str
    """As written: `list:x` is not expanded."""
    is_syscall: bool
    arguments: tuple[Argument, ...]
    data: tuple[Argument, ...]
    returned: Argument | None
    """The return value, where the hook reads it."""
    returns: bool
    """`return: true`"""
    lists: Lists
    report: Report
    has_enforcer: bool = False
    """The policy has enforcers."""


def type_of(argument: Argument) -> Type:
    """The type of an argument; `auto` for one that is unknown (which is reported)."""
    return TYPES.get(argument.type, TYPES["auto"])
