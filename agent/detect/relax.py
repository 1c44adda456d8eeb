# SPDX-License-Identifier: Apache-2.0
"""A condition as far as some of its fields decide it: where the rest is not known, what may hold. Pure."""

from __future__ import annotations

from collections.abc import Callable

from agent.detect.conditions import And, Match, Node, Not, Or

Part = Node | bool
Told = Callable[[str, bool], bool]
"""Whether a field is known: all that it is (False), or at least all that it may be (True), which decides
nothing below `not`. Gets the field's name and whether the latter is enough."""


def relaxed(node: Node, is_told: Told) -> Part:
    """Holds wherever the condition does, and asks nothing but fields that are told.

    True: they decide nothing. False: it holds nowhere.
    """
    return _bound(node, is_told, True)


def _bound(node: Node, is_told: Told, is_upper: bool) -> Part:
    """Upper: holds where the condition may; lower: where it surely does."""
    if isinstance(node, Match):
        check = node.check
        has_refs = check.op.startswith("ref")
        fields = (check.field, str(check.value)) if has_refs else (check.field,)
        enough = is_upper and not _asks_absence(check.op, check.value)
        return node if all(is_told(field, enough) for field in fields) else is_upper
    if isinstance(node, Not):
        part = _bound(node.part, is_told, not is_upper)
        return not part if isinstance(part, bool) else Not(part)
    decisive = isinstance(node, Or)
    parts: list[Node] = []
    for one in node.parts:
        part = _bound(one, is_told, is_upper)
        if part is decisive:
            return decisive
        if not isinstance(part, bool):
            parts.append(part)
    if not parts:
        return not decisive
    made = Or if decisive else And
    return parts[0] if len(parts) == 1 else made(tuple(parts))


def _asks_absence(op: str, value: object) -> bool:
    """Whether a check holds where values are missing."""
    return op == "null" or (op == "exists" and not value)
