# SPDX-License-Identifier: Apache-2.0
"""matchArgs, matchData and matchReturnArgs."""

from __future__ import annotations

from collections.abc import Sequence

from agent.configuration.values import shorten
from agent.policy.model import Argument, ArgumentFilter
from agent.policy.operands import check_value, most_values
from agent.policy.report import Wrong, nearest
from agent.policy.scope import Scope, type_of
from agent.policy.shape import Leaf, Part
from agent.policy.typenames import (
    ALL_OPERATORS,
    LARGE,
    LATER,
    SYNONYMS,
    WITHOUT_VALUES,
    Type,
    operators_of,
)

TERMINATED = frozenset({"text", "path", "sockaddr_un"})
"""Groups of types whose texts end at their first NUL, but for buffers (LARGE), which have a length."""
NUL_ENDS = "the kernel's texts end at a NUL: remove it and what follows"


def read_filters(
    part: Part, name: str, inputs: Sequence[Argument], scope: Scope
) -> tuple[ArgumentFilter, ...]:
    """The filters of a selector's field `name`, which refer to `inputs`."""
    read = (_filter(each, inputs, name, scope) for each in part.parts(name) if not each.broken)
    return tuple(each for each in read if each is not None)


def _filter(part: Part, inputs: Sequence[Argument], name: str, scope: Scope) -> ArgumentFilter | None:
    positions = _positions(part, inputs, name, scope)
    operator = _operator(part, scope)
    if not positions or not operator:
        return None
    of = type_of(inputs[positions[0]])
    if not _fits(part, operator, of, scope) or not _check_count(part, operator, positions, scope):
        return None
    values = _values(part, operator, of, scope)
    other = positions[1] if len(positions) > 1 else None
    return ArgumentFilter(positions[0], operator, values, other, where=part.where)


def _positions(part: Part, inputs: Sequence[Argument], name: str, scope: Scope) -> list[int]:
    """Positions among the hook's inputs: `args` are positions, `index` is the number of an argument."""
    if part.has("args"):
        return _by_position(part, inputs, scope)
    index = part.number("index")
    found = [n for n, each in enumerate(inputs) if each.index == index]
    if name == "matchData" and len(found) != 1 and index < len(inputs):
        return [index]  # entries of data have no numbers unless somebody gave them
    if found:
        return found[:1]
    if scope.kind in ("tracepoint", "raw_tracepoint") and index < len(inputs):
        text = f"no argument has the index {index}: taken as the position among args"
        scope.report.warn(part.at("index"), text, f"write args: [{index}]")
        return [index]
    there = ", ".join(str(each.index) for each in inputs)
    hint = f"the hook reads {there}; add it there" if there else "the hook reads none; add it there"
    scope.report.error(part.at("index"), f"there is no argument {index} for {name}", hint)
    return []


def _by_position(part: Part, inputs: Sequence[Argument], scope: Scope) -> list[int]:
    for leaf in part.leaves("args"):
        if leaf.value >= len(inputs):
            hint = f"positions are 0 to {len(inputs) - 1}" if inputs else "the hook reads none"
            scope.report.error(leaf.where, f"there is no argument at position {leaf.value}", hint)
            return []
    return [leaf.value for leaf in part.leaves("args")]


def _operator(part: Part, scope: Scope) -> str:
    written = part.text("operator")
    if written in LATER:
        text = f"{written} is not supported yet: {LATER[written]} come in a later version"
        scope.report.error(part.at("operator"), text, "use other operators")
        return ""
    name = SYNONYMS.get(written, written)
    if name not in ALL_OPERATORS:
        hint = nearest(written, (*ALL_OPERATORS, *SYNONYMS))
        scope.report.error(part.at("operator"), f"{shorten(written)} is no operator", hint)
        return ""
    return name


def _fits(part: Part, operator: str, of: Type, scope: Scope) -> bool:
    known = operators_of(of.group)
    if operator in known:
        return True
    if of.group == "sockaddr" and operator.replace("DP", "SP").replace("DA", "SA") in known:
        hint = f"a sockaddr has one address: write {operator.replace('DP', 'SP').replace('DA', 'SA')}"
    else:
        hint = f"it takes {', '.join(sorted(known))}" if known else "nothing can be compared with it"
    scope.report.error(part.at("operator"), f"{operator} does not fit the type {of.name}", hint)
    return False


def _check_count(part: Part, operator: str, positions: Sequence[int], scope: Scope) -> bool:
    wanted = 2 if operator == "CapabilitiesGained" else 1
    if len(positions) != wanted:
        hint = "write args: [before, after]" if wanted == 2 else "write one filter for each argument"
        scope.report.error(part.at("args"), f"{operator} looks at {wanted} of the arguments", hint)
        return False
    if operator in WITHOUT_VALUES and part.leaves("values"):
        scope.report.error(part.at("values"), f"{operator} takes no values", "remove them")
        return False
    return True


def _values(part: Part, operator: str, of: Type, scope: Scope) -> tuple[str, ...]:
    found: dict[str, None] = {}
    leaves = [each for leaf in part.leaves("values") for each in scope.lists.values(leaf, of)]
    for leaf in leaves[: most_values(operator)]:
        value = _value(leaf, operator, of, scope)
        if value is not None:
            found[value] = None
    if len(leaves) > most_values(operator):
        text = f"{operator} has {len(leaves)} values"
        scope.report.error(part.at("values"), text, f"at most {most_values(operator)} are allowed")
    if not leaves and not part.leaves("values") and operator not in (*WITHOUT_VALUES, "CapabilitiesGained"):
        scope.report.error(part.where, f"{operator} needs values", "write values: with at least one")
    return tuple(found)


def _value(leaf: Leaf, operator: str, of: Type, scope: Scope) -> str | None:
    try:
        value = check_value(operator, str(leaf.value), of)
    except Wrong as error:
        scope.report.wrong(leaf.where, error)
        return None
    if (
        "\0" in value.rstrip("\0")
        and of.group in TERMINATED
        and of.name not in LARGE
        and "Regex" not in operator
    ):
        scope.report.warn(leaf.where, f"{shorten(value)} has a NUL inside and never matches", NUL_ENDS)
    return value
