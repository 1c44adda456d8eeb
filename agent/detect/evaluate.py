# SPDX-License-Identifier: Apache-2.0
"""What a condition says of one event, check by check: slowly and with reasons.

The engine asks generated code (agent/detect/compile.py) which rules match, and this which parts of them did.
Both answer alike; what only this knows how to ask (times, other fields) the generated code asks here.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from agent.detect.conditions import STAR, And, Check, Match, Node, Not, Or, Piece
from agent.detect.patterns import search
from agent.detect.scalars import number_of

Values = Callable[[str], Sequence[str]]
"""The values of a field; none when it is absent. Of the empty name: those of all fields."""


class Matched(NamedTuple):
    """A check that held."""

    selection: str
    field: str
    """As written in the rule, with its modifiers: `Image|endswith`; empty for keywords."""
    value: str
    """The value of the event that fits."""


def holds(node: Node, values: Values) -> bool:
    """Whether a condition is true. A check of an absent field is false, and its negation true."""
    if isinstance(node, Match):
        return check_holds(node.check, values)
    if isinstance(node, Not):
        return not holds(node.part, values)
    if isinstance(node, And):
        return all(holds(part, values) for part in node.parts)
    return any(holds(part, values) for part in node.parts)


def matched(node: Node, values: Values) -> Iterator[Matched]:
    """The checks that make a true condition true; those below `not` say nothing."""
    if isinstance(node, Match):
        found = fitting(node.check, values)
        if found is not None:
            yield Matched(node.selection, node.key, found)
    elif isinstance(node, And):
        for part in node.parts:
            yield from matched(part, values)
    elif isinstance(node, Or):
        for part in node.parts:
            if holds(part, values):
                yield from matched(part, values)


def check_holds(check: Check, values: Values) -> bool:
    """Whether some value of the field fits."""
    return fitting(check, values) is not None


def fitting(check: Check, values: Values) -> str | None:
    """The first value that fits, empty for a field whose absence is asked; None when none does."""
    there = values(check.field)
    if check.op == "null":
        return None if there else ""
    if check.op == "exists":
        return (there[0] if there else "") if bool(there) == check.value else None
    if check.op in _REFERENCES:
        others = [_folded(check, other) for other in values(str(check.value))]
        test = _REFERENCES[check.op]
        return next(
            (value for value in there if any(test(_folded(check, value), one) for one in others)), None
        )
    fits = _TESTS[check.op]
    return next((value for value in there if fits(check, value)), None)


_REFERENCES: dict[str, Callable[[str, str], bool]] = {
    "ref": str.__eq__,
    "refstart": str.startswith,
    "refend": str.endswith,
    "refin": str.__contains__,
}


def _folded(check: Check, value: str) -> str:
    return value if check.cased else value.casefold()


def _is_numbered(check: Check, value: str) -> bool:
    number = number_of(value)
    return number is not None and _compares(check.op, number, check.value)


def _compares(operator: str, number: float, wanted: object) -> bool:
    if not isinstance(wanted, int | float):
        return False
    if operator in ("lt", "lte"):
        return number < wanted or (operator == "lte" and number == wanted)
    return number > wanted or (operator == "gte" and number == wanted)


def _in_network(check: Check, value: str) -> bool:
    network, address = _network(str(check.value)), _address(value)
    return address is not None and address in network


@lru_cache(maxsize=4096)
def _network(text: str) -> IPv4Network | IPv6Network:
    """One of IPv4 in IPv6 (`::ffff:192.0.2.0/120`) is the one of IPv4, as addresses are."""
    network = ip_network(text, strict=False)
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    return IPv4Network((mapped, network.prefixlen - 96)) if mapped and network.prefixlen >= 96 else network


@lru_cache(maxsize=16384)
def _address(text: str) -> IPv4Address | IPv6Address | None:
    """IPv4 in IPv6 (`::ffff:192.0.2.1`) counts as IPv4: the kernel shows connections of such sockets so."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _is_part_of_time(check: Check, value: str) -> bool:
    moment = _moment(value)
    if moment is None:
        return False
    part = moment.isocalendar().week if check.op == "week" else getattr(moment, check.op)
    if isinstance(check.value, tuple):
        return _compares(str(check.value[0]), part, check.value[1])
    return bool(part == check.value)


@lru_cache(maxsize=1024)
def _moment(text: str) -> datetime.datetime | None:
    """RFC 3339 or a date; UTC where it names no zone."""
    try:
        moment = datetime.datetime.fromisoformat(
            text[:26].rstrip("Z") + "+00:00" if text.endswith("Z") else text
        )
    except ValueError:
        return None
    return moment.astimezone(datetime.UTC) if moment.tzinfo else moment


def globbed(pieces: Sequence[Piece], text: str) -> bool:
    """Whether a text fits pieces of text, STAR and ANY. Time grows with their product at most: the first
    place of a run between two stars is kept, whatever follows."""
    runs: list[list[Piece]] = [[]]
    for piece in pieces:
        if piece == STAR and not isinstance(piece, str):
            runs.append([])
        else:
            runs[-1].append(piece)
    first, last = runs[0], runs[-1]
    if len(runs) == 1:
        return _length(first) == len(text) and _fits_at(first, text, 0)
    end = len(text) - _length(last)
    if not _fits_at(first, text, 0) or end < _length(first) or not _fits_at(last, text, end):
        return False
    at = _length(first)
    for run in runs[1:-1]:
        at = _find(run, text, at, end)
        if at < 0:
            return False
    return True


def _length(run: list[Piece]) -> int:
    return sum(len(piece) if isinstance(piece, str) else 1 for piece in run)


def _fits_at(run: list[Piece], text: str, at: int) -> bool:
    for piece in run:
        if isinstance(piece, str):
            if not text.startswith(piece, at):
                return False
            at += len(piece)
        else:
            at += 1
    return at <= len(text)


def _find(run: list[Piece], text: str, at: int, end: int) -> int:
    """The place behind the first fit of a run within a part of the text; -1: there is none."""
    if len(run) == 1 and isinstance(run[0], str):
        place = text.find(run[0], at, end)
        return place + len(run[0]) if place >= 0 else -1
    found = _expression(tuple(run)).search(text, at, end)
    return found.end() if found is not None else -1


@lru_cache(maxsize=16384)
def _expression(run: tuple[Piece, ...]) -> re.Pattern[str]:
    """A run as Python's: nothing in it repeats, so there is nothing to go back to."""
    return re.compile("".join(re.escape(one) if isinstance(one, str) else "." for one in run), re.DOTALL)


_TESTS: dict[str, Callable[[Check, str], bool]] = {
    "equals": lambda check, value: _folded(check, value) == check.value,
    "contains": lambda check, value: str(check.value) in _folded(check, value),
    "startswith": lambda check, value: _folded(check, value).startswith(str(check.value)),
    "endswith": lambda check, value: _folded(check, value).endswith(str(check.value)),
    "glob": lambda check, value: globbed(check.value, _folded(check, value)),  # type: ignore[arg-type]
    "re": lambda check, value: search(str(check.value), value),
    "cidr": _in_network,
    **dict.fromkeys(("lt", "lte", "gt", "gte"), _is_numbered),
    **dict.fromkeys(("minute", "hour", "day", "week", "month", "year"), _is_part_of_time),
}
