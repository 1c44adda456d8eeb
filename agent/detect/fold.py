# SPDX-License-Identifier: Apache-2.0
"""A condition as one view sees it: fields by their own names; what no event decides is decided already.

A check of a field that no event of the view has is false; the audit record's `type` is known. What is left is
asked of events, and a condition of which nothing is left needs none.
"""

from __future__ import annotations

from agent.detect.conditions import Check, Match, Node, Not, Or, fields_of
from agent.detect.evaluate import check_holds
from agent.detect.fields import field_of
from agent.detect.views import AUDIT_TYPED

Folded = Node | bool
_EVERY = Match(Check("type", "exists", True), "", "type")


def condition_for(node: Node, view: str) -> Node | None:
    """What is asked of a view's events; None when nothing is: it never holds, or it always does, because all
    that it asks for is absent always. Who asks for a type of audit records and nothing else means all of
    them."""
    if view in AUDIT_TYPED and "type" not in fields_of(node):
        return None
    folded = fold(node, view)
    if isinstance(folded, bool):
        return _EVERY if folded and view.startswith("auditd/") and "type" in fields_of(node) else None
    return folded


def fold(node: Node, view: str) -> Folded:
    """The condition for events of a view; a bool when it is the same for all of them."""
    if isinstance(node, Match):
        return _match(node, view)
    if isinstance(node, Not):
        part = fold(node.part, view)
        if isinstance(part, bool):
            return not part
        return part.part if isinstance(part, Not) else Not(part)
    decisive = isinstance(node, Or)
    parts: dict[Node, None] = {}
    for one in node.parts:
        part = fold(one, view)
        if part is decisive:
            return decisive
        if not isinstance(part, bool):
            parts.update(dict.fromkeys(part.parts if type(part) is type(node) else (part,)))
    if not parts:
        return not decisive
    kept = tuple(parts)
    return kept[0] if len(kept) == 1 else type(node)(kept)


def _match(match: Match, view: str) -> Folded:
    check = match.check
    if not check.field:
        return match
    section, _, kind = view.partition("/")
    field = field_of(section, check.field)
    if field.name == "type" and section == "auditd":
        return check_holds(check, lambda _name: (kind,))
    if field.source is None or (kind and field.only and kind not in field.only):
        return check_holds(check, lambda _name: ())
    if check.op.startswith("ref"):
        other = field_of(section, str(check.value))
        if other.source is None:
            return False
        check = check._replace(value=other.name)
    return Match(Check(field.name, *check[1:]), match.selection, match.key)
