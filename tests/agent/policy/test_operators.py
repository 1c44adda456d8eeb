# SPDX-License-Identifier: Apache-2.0
"""Operators as fields, kinds and values."""

import pytest

from agent.policy.layout import Field, Kind
from agent.policy.operators import Pattern, Wanted, read_operator
from agent.policy.values import Source, Value, ValueFlag, ValueType

INT = Value(Source.ARGUMENT, ValueType.INTEGER, size=4, flags=ValueFlag.SIGNED)
PATH = Value(Source.ARGUMENT, ValueType.FILE)
SOCK = Value(Source.ARGUMENT, ValueType.SOCK)
MOST = 2**31 - 1


@pytest.mark.parametrize(
    ("operator", "value", "texts", "expected"),
    [
        ("Equal", INT, ["0xffffffff", "7"], Wanted(Kind.EXACT, Field.INTEGER, ((-1, -1), (7, 7)), True)),
        ("GT", INT, ["5"], Wanted(Kind.RANGE, Field.INTEGER, ((6, MOST),), True)),
        ("GT", INT, [str(MOST)], Wanted(Kind.RANGE, Field.INTEGER, (), True)),
        ("LT", INT, ["-2147483648"], Wanted(Kind.RANGE, Field.INTEGER, (), True)),
        ("InRange", INT, ["1:9"], Wanted(Kind.RANGE, Field.INTEGER, ((1, 9),), True)),
        ("InMap", INT, ["3"], Wanted(Kind.EXACT, Field.INTEGER, ((3, 3),), True)),
        ("Mask", INT, ["-1"], Wanted(Kind.MASK, Field.INTEGER, (0xFFFFFFFF,))),
        ("SPort", SOCK, ["80"], Wanted(Kind.EXACT, Field.SPORT, ((80, 80),))),
        ("DPort", SOCK, ["80", "1:9"], Wanted(Kind.RANGE, Field.DPORT, ((80, 80), (1, 9)))),
        ("DPortPriv", SOCK, [], Wanted(Kind.RANGE, Field.DPORT, ((0, 1023),))),
        ("Protocol", SOCK, ["IPPROTO_TCP"], Wanted(Kind.EXACT, Field.PROTOCOL, ((6, 6),))),
        ("State", SOCK, ["TCP_LISTEN"], Wanted(Kind.EXACT, Field.STATE, ((10, 10),))),
        ("FileType", PATH, ["reg"], Wanted(Kind.EXACT, Field.FILE_TYPE, ((8, 8),))),
        ("Equal", PATH, ["/a\0"], Wanted(Kind.EQUAL, Field.TEXT, (b"/a",))),
        ("Prefix", PATH, ["/a"], Wanted(Kind.PREFIX, Field.TEXT, (b"/a",))),
        ("Prefix", PATH, ["x" * 249], Wanted(Kind.AUTOMATON, Field.TEXT, (Pattern("Prefix", "x" * 249),))),
        ("Postfix", PATH, ["x" * 129], Wanted(Kind.AUTOMATON, Field.TEXT, (Pattern("Postfix", "x" * 129),))),
        ("Regex", PATH, ["a+"], Wanted(Kind.AUTOMATON, Field.TEXT, (Pattern("Regex", "a+"),))),
        ("CapabilitiesGained", PATH, ["CAP_SYS_ADMIN"], Wanted(Kind.MASK, Field.CAP_GAINED, (1 << 21,))),
    ],
)
def test_an_operator_asks_a_field_for_values(
    operator: str, value: Value, texts: list[str], expected: Wanted
) -> None:
    assert read_operator(operator, value, texts) == (expected, False)


def test_not_before_an_operator_negates_it() -> None:
    wanted, negated = read_operator("NotPrefix", PATH, ["/a"])
    assert (wanted.kind, negated) == (Kind.PREFIX, True)


def test_what_is_no_integer_is_told() -> None:
    with pytest.raises(ValueError, match="five"):
        read_operator("Equal", INT, ["five"])
