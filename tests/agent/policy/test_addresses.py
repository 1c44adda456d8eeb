# SPDX-License-Identifier: Apache-2.0
"""Networks in a trie."""

import pytest

from agent.policy.addresses import EVERYWHERE, MAPPED, compile_addresses, hits_of, parse_network
from agent.policy.contents import Contents
from agent.policy.groups import Constraint, Dimension, Group
from agent.policy.layout import EVERY, TABLE, Field, Kind, unpack_set

DIMENSION = Dimension(True, Kind.ADDRESS, Field.DADDR, 0)


def group_of(*networks: str, negated: bool = False) -> Group:
    return Group([Constraint(DIMENSION, 0, negated, tuple(map(parse_network, networks)))])


@pytest.mark.parametrize(
    ("text", "bits", "address"),
    [
        ("10.0.0.0/8", 104, 0xFFFF0A000000),
        ("127.0.0.1/8", 104, 0xFFFF7F000000),
        ("1.2.3.4", 128, 0xFFFF01020304),
        ("::1", 128, 1),
        ("2001:db8::/32", 32, 0x20010DB8 << 96),
    ],
)
def test_a_network_is_its_length_and_address(text: str, bits: int, address: int) -> None:
    assert parse_network(text) == (bits, address)


def test_a_network_in_another_has_what_holds_there() -> None:
    group = Group(
        [
            Constraint(DIMENSION, n, False, (parse_network(t),))
            for n, t in enumerate(["10.0.0.0/8", "10.1.0.0/16"])
        ]
    )
    assert hits_of(group)[parse_network("10.1.0.0/16")] == 0b11


def test_no_network_of_ipv6_means_ipv4() -> None:
    hits = hits_of(group_of("::/0"))
    assert (hits[EVERYWHERE], hits[MAPPED]) == (1, 0)


def test_where_there_is_no_address_nothing_holds() -> None:
    contents = Contents()
    compile_addresses(group_of("10.0.0.0/8", negated=True), 0, contents)
    assert unpack_set(TABLE.unpack(contents.filter_tables[0])[2]) == EVERY & ~1
