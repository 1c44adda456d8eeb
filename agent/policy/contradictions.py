# SPDX-License-Identifier: Apache-2.0
"""Filters of one selector that no call can satisfy together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from agent.policy import words
from agent.policy.model import ArgumentFilter, Selector, Where
from agent.policy.operands import typed
from agent.policy.quantities import Range, parse_integer, parse_network, parse_port, parse_range
from agent.policy.report import Report
from agent.policy.typenames import Type

_MOST_PAIRS = 1_000_000
"""Prefixes are compared pair by pair up to so many pairs; beyond, contradictions go unseen."""
_PRIVILEGED = Range(0, 1023)
_DIMENSIONS = {
    "SPort": "source port",
    "SPortPriv": "source port",
    "DPort": "destination port",
    "DPortPriv": "destination port",
    "SAddr": "source address",
    "DAddr": "destination address",
    "Protocol": "protocol",
    "Family": "family",
    "State": "state",
    "FileType": "file type",
}
_POINTS: dict[str, Callable[[str], int]] = {
    "Protocol": words.protocol,
    "Family": words.family,
    "State": words.state,
    "FileType": words.kind_of_file,
}
_HIGH = {"source address": (1 << 128) - 1, "destination address": (1 << 128) - 1}


def check_arguments(filters: Sequence[ArgumentFilter], types: Sequence[Type], report: Report) -> None:
    """Filters of the same argument."""
    groups: dict[tuple[int, str], list[ArgumentFilter]] = defaultdict(list)
    for each in filters:
        groups[each.argument, _dimension(each, types[each.argument])].append(each)
    for (argument, dimension), members in groups.items():
        of = types[argument]
        if dimension == "text":
            is_empty = _texts_exclude(members)
        else:
            is_empty = dimension != "" and not _left(members, dimension, of)
        if is_empty:
            _tell(members[-1].where, members[0].where, f"{dimension} of argument {argument}", report)


def check_processes(selector: Selector, report: Report) -> None:
    """Filters on the process."""
    pids = [((p.in_namespace, p.follow_forks), p.is_in, set(p.values), p.where) for p in selector.pids]
    _check_sets("pid", pids, report, is_one=lambda key: not key[1])
    for name, filters in (("binary", selector.binaries), ("parent's binary", selector.parent_binaries)):
        exact = [b for b in filters if b.operator in ("In", "NotIn")]
        sets = [(b.follow_children, b.operator == "In", set(b.values), b.where) for b in exact]
        _check_sets(name, sets, report, is_one=lambda key: not key)
    spaces = [(n.namespaces, n.is_in, set(n.values), n.where) for n in selector.namespaces]
    _check_sets("namespace", spaces, report, is_one=lambda key: True)
    changes = [(0, n.is_in, set(n.namespaces), n.where) for n in selector.namespace_changes]
    _check_sets("change of namespaces", changes, report, is_one=lambda key: False)
    for name, caps in (("capability", selector.capabilities), ("change", selector.capability_changes)):
        bits = [((c.kind, c.in_namespace), c.is_in, _bits(c.mask), c.where) for c in caps]
        _check_sets(name, bits, report, is_one=lambda key: False)
    _check_credentials(selector, report)


def _check_sets(
    what: str,
    filters: Iterable[tuple[Hashable, bool, AbstractSet[object], Where]],
    report: Report,
    is_one: Callable[[Any], bool],
) -> None:
    """In and NotIn with the same key; `is_one`: there is one such value, so that two In must share it."""
    groups: dict[Hashable, list[tuple[bool, AbstractSet[object], Where]]] = defaultdict(list)
    for key, is_in, values, where in filters:
        groups[key].append((is_in, values, where))
    for key, members in groups.items():
        wanted = [values for is_in, values, _ in members if is_in]
        excluded = {value for is_in, values, _ in members if not is_in for value in values}
        left = [frozenset(values) - excluded for values in wanted]
        if not all(left) or (is_one(key) and left and not frozenset.intersection(*left)):
            _tell(members[-1][2], members[0][2], what, report)


def _check_credentials(selector: Selector, report: Report) -> None:
    groups: dict[str, list[list[Range]]] = defaultdict(list)
    for each in selector.credentials:
        ranges = _merged(Range(low, high) for low, high in each.ranges)
        groups[each.field].append(ranges if each.is_in else _complement(ranges, 0, (1 << 32) - 1))
    for field, sets in groups.items():
        if not _intersection(sets):
            places = [each.where for each in selector.credentials if each.field == field]
            _tell(places[-1], places[0], field, report)


def _tell(at: Where, first: Where, what: str, report: Report) -> None:
    if at == first:
        report.error(at, f"can never match: no {what} is left", "correct or remove the filter")
    else:
        hint = f"the filters contradict each other, the first is in line {first.line}; remove one"
        report.error(at, f"can never match: no {what} is left", hint)


def _dimension(each: ArgumentFilter, of: Type) -> str:
    """What of the argument a filter asks for; empty: nothing that can contradict."""
    plain = each.operator.removeprefix("Not")
    if plain in _DIMENSIONS:
        return _DIMENSIONS[plain]
    if plain in ("Mask", "CapabilitiesGained", "Regex", "SubStringIgnCase"):
        return ""
    if plain in ("GT", "LT", "InMap", "InRange"):
        return "value"
    if plain == "Equal" and of.group in ("integer", "capabilities"):
        return "value"
    return "text"


def _left(members: Sequence[ArgumentFilter], dimension: str, of: Type) -> list[Range]:
    low, high = (of.low, of.high) if dimension == "value" else (0, _HIGH.get(dimension, 0xFFFF))
    sets = []
    for each in members:
        ranges = _merged(_ranges(each, of, low, high))
        sets.append(_complement(ranges, low, high) if each.operator.startswith("Not") else ranges)
    return _intersection(sets)


def _ranges(each: ArgumentFilter, of: Type, low: int, high: int) -> Iterator[Range]:
    plain = each.operator.removeprefix("Not")
    if plain in ("SPortPriv", "DPortPriv"):
        yield _PRIVILEGED
    for text in each.values:
        if plain in _POINTS:
            yield Range(_POINTS[plain](text), _POINTS[plain](text))
        elif plain in ("SPort", "DPort"):
            yield parse_port(text)
        elif plain in ("SAddr", "DAddr"):
            yield parse_network(text)
        elif plain == "GT":
            yield Range(parse_integer(text) + 1, high)
        elif plain == "LT":
            yield Range(low, parse_integer(text) - 1)
        else:
            yield parse_range(text, low, high) if ":" in text else Range(typed(text, of), typed(text, of))


def _merged(ranges: Iterable[Range]) -> list[Range]:
    """Ascending, apart from each other."""
    found: list[Range] = []
    for low, high in sorted(each for each in ranges if each.low <= each.high):
        if found and low <= found[-1].high + 1:
            found[-1] = Range(found[-1].low, max(found[-1].high, high))
        else:
            found.append(Range(low, high))
    return found


def _complement(ranges: Sequence[Range], low: int, high: int) -> list[Range]:
    found, start = [], low
    for each in ranges:
        if each.low > start:
            found.append(Range(start, each.low - 1))
        start = max(start, each.high + 1)
    return [*found, Range(start, high)] if start <= high else found


def _intersection(sets: Sequence[list[Range]]) -> list[Range]:
    left = sets[0]
    for other in sets[1:]:
        left = _common(left, other)
    return left


def _common(one: Sequence[Range], other: Sequence[Range]) -> list[Range]:
    found, i, j = [], 0, 0
    while i < len(one) and j < len(other):
        low, high = max(one[i].low, other[j].low), min(one[i].high, other[j].high)
        if low <= high:
            found.append(Range(low, high))
        if one[i].high < other[j].high:
            i += 1
        else:
            j += 1
    return found


def _texts_exclude(members: Sequence[ArgumentFilter]) -> bool:
    """Whether no text satisfies all. Only what can be seen without searching."""
    equal = [set(map(_bare, each.values)) for each in members if each.operator == "Equal"]
    if equal:
        return not any(all(_holds(each, text) for each in members) for text in set.intersection(*equal))
    return _affixes_exclude(members, "Prefix") or _affixes_exclude(members, "Postfix")


def _holds(each: ArgumentFilter, text: str) -> bool:
    values = tuple(map(_bare, each.values))
    plain = each.operator.removeprefix("Not")
    if plain == "Equal":
        holds = text in values
    elif plain == "Prefix":
        holds = text.startswith(values)
    elif plain == "Postfix":
        holds = text.endswith(values)
    else:
        holds = any(value in text for value in values)
    return holds != each.operator.startswith("Not")


def _affixes_exclude(members: Sequence[ArgumentFilter], operator: str) -> bool:
    """Prefixes (postfixes, reversed) of which no pair fits, or of which each begins with an excluded one."""
    step = -1 if operator == "Postfix" else 1
    wanted = [[_bare(v)[::step] for v in each.values] for each in members if each.operator == operator]
    unwanted = tuple(
        _bare(v)[::step] for each in members if each.operator == f"Not{operator}" for v in each.values
    )
    if unwanted and any(all(v.startswith(unwanted) for v in values) for values in wanted):
        return True
    return any(not _fit(one, other) for n, one in enumerate(wanted) for other in wanted[n + 1 :])


def _fit(one: Sequence[str], other: Sequence[str]) -> bool:
    if len(one) * len(other) > _MOST_PAIRS:
        return True
    return any(a.startswith(tuple(other)) for a in one) or any(b.startswith(tuple(one)) for b in other)


def _bare(text: str) -> str:
    return text.rstrip("\0")


def _bits(mask: int) -> AbstractSet[object]:
    return {bit for bit in range(64) if mask >> bit & 1}
