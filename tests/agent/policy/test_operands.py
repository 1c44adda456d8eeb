# SPDX-License-Identifier: Apache-2.0
"""Values, by operator and type."""

from __future__ import annotations

import pytest

from agent.policy.operands import check_value, typed
from agent.policy.operators import read_operator
from agent.policy.report import Wrong
from agent.policy.typenames import TYPES
from agent.policy.values import Source, Value, ValueFlag, ValueType


@pytest.mark.parametrize(
    ("operator", "kind", "text", "taken"),
    [
        ("Equal", "int32", "-5", "-5"),
        ("Equal", "int32", "0xffffffff", "0xffffffff"),
        ("Equal", "capability", "CAP_SYS_ADMIN", "21"),
        ("NotEqual", "string", "0x", "0x"),
        ("Mask", "uint32", "0644", "0644"),
        ("InRange", "uint64", "1:10", "1:10"),
        ("NotInMap", "int64", "-3", "-3"),
        ("DPort", "sock", "80:443", "80:443"),
        ("NotDAddr", "skb", "::1/128", "::1/128"),
        ("Protocol", "sock", "IPPROTO_UDP", "IPPROTO_UDP"),
        ("Protocol", "skb", "IPPROTO_ICMPV6", "58"),
        ("State", "sock", "TCP_LISTEN", "TCP_LISTEN"),
        ("FileType", "file", "fifo", "fifo"),
        ("Regex", "string", "^/tmp/.*[.]so$", "^/tmp/.*[.]so$"),
        ("CapabilitiesGained", "cap_effective", "CAP_BPF", "39"),
    ],
)
def test_what_fits_is_taken(operator: str, kind: str, text: str, taken: str) -> None:
    assert check_value(operator, text, TYPES[kind]) == taken


@pytest.mark.parametrize(
    ("operator", "kind", "text", "problem"),
    [
        ("Equal", "uint8", "256", "out of range for uint8"),
        ("Equal", "int8", "-129", "out of range for int8"),
        ("Equal", "int32", "abc", "abc is not an integer"),
        ("GT", "uint32", "-1", "out of range for uint32"),
        ("Mask", "uint16", "0", "is no mask for uint16"),
        ("Mask", "uint16", "0x10000", "is no mask for uint16"),
        ("InRange", "int32", "5:1", "empty range"),
        ("SPort", "sock", "80:", "is not an integer"),
        ("SAddr", "sock", "10.0.0.0/33", "no IP address or network"),
        ("Family", "sock", "AF_FOO", "AF_FOO is no address family"),
        ("Equal", "file", "x" * 4096, "at most 4095"),
        ("SubString", "file", "x" * 1025, "has 1025 bytes"),
        ("Regex", "string", "(", "missing"),
    ],
)
def test_what_does_not_fit_is_told(operator: str, kind: str, text: str, problem: str) -> None:
    with pytest.raises(Wrong) as caught:
        check_value(operator, text, TYPES[kind])
    assert problem in f"{caught.value.text} {caught.value.hint}"


def test_bit_patterns_are_taken_for_what_the_type_makes_of_them() -> None:
    assert typed("0xffffffff", TYPES["int32"]) == -1
    assert typed("-1", TYPES["uint32"]) == 0xFFFFFFFF


@pytest.mark.parametrize(
    ("operator", "texts"),
    [("Equal", ["0644", "-1", "0xff"]), ("InRange", ["010:0x20"]), ("GT", ["0o7"]), ("Mask", ["0b11"])],
)
def test_what_is_taken_here_can_be_compiled(operator: str, texts: list[str]) -> None:
    value = Value(Source.ARGUMENT, ValueType.INTEGER, size=4, flags=ValueFlag.SIGNED)
    wanted, _ = read_operator(operator, value, [check_value(operator, t, TYPES["int32"]) for t in texts])
    assert len(wanted.values) == len(texts)
