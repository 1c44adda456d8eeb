# SPDX-License-Identifier: Apache-2.0
"""From an operator of matchArgs, matchData or matchReturnArgs to the field that is looked at, how, and for
what.

Which operator looks at which field of which type is one table, `OPERATORS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from agent.policy.addresses import parse_network
from agent.policy.integers import Interval, limits, wrapped
from agent.policy.layout import POSTFIX_BYTES, PREFIX_BYTES, TEXT_BYTES, Field, Kind
from agent.policy.meanings import (
    capability_bit,
    family_number,
    file_type,
    protocol_number,
    socket_state,
)
from agent.policy.quantities import parse_integer
from agent.policy.values import Value, ValueFlag, ValueType

INTEGERS = {ValueType.INTEGER, ValueType.CAPABILITY, ValueType.CAP_SET, ValueType.SYSCALL}
SYSCALL_BYTES = 8
SOCKETS = {ValueType.SOCK, ValueType.SOCKET, ValueType.SKB, ValueType.SOCKADDR, ValueType.SOCKADDR_UN}
FILES = {
    ValueType.FILE,
    ValueType.PATH,
    ValueType.DENTRY,
    ValueType.FD,
    ValueType.KIOCB,
    ValueType.BINPRM,
}


class Wanted(NamedTuple):
    """What a constraint's dimension and values are."""

    kind: Kind
    field: Field
    values: tuple[Any, ...]
    is_signed: bool = False


class Pattern(NamedTuple):
    """A value that only the automaton can look for."""

    kind: str
    """Prefix, Postfix, SubString, SubStringIgnCase, Regex."""
    text: str


Reader = Callable[[Value, Sequence[str]], Wanted]


def type_of(value: Value) -> tuple[int, bool]:
    """Size in bytes and sign of an integer value."""
    if value.type is ValueType.SYSCALL:
        return SYSCALL_BYTES, False
    return value.size or 8, bool(value.flags & ValueFlag.SIGNED)


def as_integers(field: Field, intervals: Sequence[Interval], is_signed: bool = False) -> Wanted:
    """Single values are looked up, ranges searched."""
    kind = Kind.EXACT if all(low == high for low, high in intervals) else Kind.RANGE
    return Wanted(kind, field, tuple(intervals), is_signed)


def clamped(low: int, high: int, size: int, is_signed: bool) -> list[Interval]:
    """The part of an interval that the type can hold: none, or one."""
    least, most = limits(size, is_signed)
    low, high = max(low, least), min(high, most)
    return [(low, high)] if low <= high else []


def pair(text: str) -> Interval:
    """`5` or `5:10`."""
    low, colon, high = text.partition(":")
    return (parse_integer(low), parse_integer(high)) if colon else (parse_integer(low), parse_integer(low))


def equal(value: Value, texts: Sequence[str]) -> Wanted:
    """Equal: integers and texts."""
    if value.type not in INTEGERS:
        return Wanted(Kind.EQUAL, Field.TEXT, tuple(as_text(value, text) for text in texts))
    size, is_signed = type_of(value)
    numbers = [
        wrapped(
            capability_bit(text) if value.type is ValueType.CAPABILITY else parse_integer(text),
            size,
            is_signed,
        )
        for text in texts
    ]
    return as_integers(Field.INTEGER, [(n, n) for n in numbers if n is not None], is_signed)


def in_range(value: Value, texts: Sequence[str]) -> Wanted:
    """InRange and InMap: integers and `min:max`."""
    size, is_signed = type_of(value)
    found: list[Interval] = []
    for text in texts:
        low, high = pair(text)
        one = wrapped(low, size, is_signed) if low == high else None
        found += [(one, one)] if one is not None else clamped(low, high, size, is_signed)
    return as_integers(Field.INTEGER, found, is_signed)


def greater(value: Value, texts: Sequence[str]) -> Wanted:
    """GT: greater than one of the values."""
    size, is_signed = type_of(value)
    found = [i for t in texts for i in clamped(parse_integer(t) + 1, 1 << 64, size, is_signed)]
    return Wanted(Kind.RANGE, Field.INTEGER, tuple(found), is_signed)


def less(value: Value, texts: Sequence[str]) -> Wanted:
    """LT: less than one of the values."""
    size, is_signed = type_of(value)
    found = [i for t in texts for i in clamped(-(1 << 64), parse_integer(t) - 1, size, is_signed)]
    return Wanted(Kind.RANGE, Field.INTEGER, tuple(found), is_signed)


def mask(value: Value, texts: Sequence[str]) -> Wanted:
    """Mask: some bit of some value."""
    size, _ = type_of(value)
    return Wanted(
        Kind.MASK, Field.INTEGER, tuple(parse_integer(text) & (1 << 8 * size) - 1 for text in texts)
    )


def gained(value: Value, texts: Sequence[str]) -> Wanted:
    """CapabilitiesGained: any, or one of those that are named."""
    bits = [1 << capability_bit(text) for text in texts]
    return Wanted(Kind.MASK, Field.CAP_GAINED, tuple(bits) or ((1 << 64) - 1,))


def ports(field: Field) -> Reader:
    """SPort, DPort: ports and `min:max`."""

    def read(value: Value, texts: Sequence[str]) -> Wanted:
        return as_integers(field, [i for text in texts for i in clamped(*pair(text), 2, False)])

    return read


def privileged(field: Field) -> Reader:
    """SPortPriv, DPortPriv: below 1024."""
    return lambda value, texts: Wanted(Kind.RANGE, field, ((0, 1023),))


def named(field: Field, number: Callable[[str], int]) -> Reader:
    """Protocol, Family, State, FileType: by name or number."""

    def read(value: Value, texts: Sequence[str]) -> Wanted:
        return Wanted(Kind.EXACT, field, tuple((n, n) for n in map(number, texts)))

    return read


def addresses(field: Field) -> Reader:
    """SAddr, DAddr: addresses and networks."""
    return lambda value, texts: Wanted(Kind.ADDRESS, field, tuple(map(parse_network, texts)))


def as_text(value: Value, text: str) -> bytes:
    """A text without the NULs that some write at its end; buffers are compared as they stand."""
    content = text.encode("utf-8", "surrogateescape")
    if value.type is not ValueType.BUFFER:
        content = content.rstrip(b"\0")
    if len(content) >= TEXT_BYTES:
        raise ValueError(f"`{text[:40]}...` is longer than {TEXT_BYTES - 1} bytes")
    return content


def affix(kind: Kind, name: str, most: int) -> Reader:
    """Prefix, Postfix: in a trie as long as they fit its keys."""

    def read(value: Value, texts: Sequence[str]) -> Wanted:
        contents = tuple(as_text(value, text) for text in texts)
        if all(len(content) <= most for content in contents):
            return Wanted(kind, Field.TEXT, contents)
        return pattern(name)(value, texts)

    return read


def pattern(name: str) -> Reader:
    """SubString, SubStringIgnCase, Regex: one automaton."""

    def read(value: Value, texts: Sequence[str]) -> Wanted:
        found = [Pattern(name, text if name == "Regex" else text.rstrip("\0")) for text in texts]
        return Wanted(Kind.AUTOMATON, Field.TEXT, tuple(found))

    return read


OPERATORS: dict[str, Reader] = {
    "Equal": equal,
    "InMap": in_range,
    "InRange": in_range,
    "GT": greater,
    "LT": less,
    "Mask": mask,
    "CapabilitiesGained": gained,
    "SPort": ports(Field.SPORT),
    "DPort": ports(Field.DPORT),
    "SPortPriv": privileged(Field.SPORT),
    "DPortPriv": privileged(Field.DPORT),
    "SAddr": addresses(Field.SADDR),
    "DAddr": addresses(Field.DADDR),
    "Protocol": named(Field.PROTOCOL, protocol_number),
    "Family": named(Field.FAMILY, family_number),
    "State": named(Field.STATE, socket_state),
    "FileType": named(Field.FILE_TYPE, file_type),
    "Prefix": affix(Kind.PREFIX, "Prefix", PREFIX_BYTES),
    "Postfix": affix(Kind.POSTFIX, "Postfix", POSTFIX_BYTES),
    "SubString": pattern("SubString"),
    "SubStringIgnCase": pattern("SubStringIgnCase"),
    "Regex": pattern("Regex"),
}
"""Every operator; `Not` before its name negates it."""


def fits(field: Field, value: ValueType) -> bool:
    """Whether a value of this type has the field."""
    if field in (Field.INTEGER, Field.CAP_GAINED):
        return value in INTEGERS or (field is Field.CAP_GAINED and value is ValueType.CRED)
    if field is Field.FILE_TYPE:
        return value in FILES
    return value not in INTEGERS if field is Field.TEXT else value in SOCKETS


def read_operator(operator: str, value: Value, texts: Sequence[str]) -> tuple[Wanted, bool]:
    """What an operator asks of a value, and whether it is negated. ValueError says what does not work."""
    negated = operator.startswith("Not")
    reader = OPERATORS[operator.removeprefix("Not")]
    return reader(value, texts), negated
