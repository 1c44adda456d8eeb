# SPDX-License-Identifier: Apache-2.0
"""Networks: a trie by longest prefix. IPv4 addresses stand in it as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2)."""

from __future__ import annotations

import struct

from agent.policy import quantities
from agent.policy.contents import Contents
from agent.policy.groups import Group
from agent.policy.layout import NETWORK_KEY, pack_set

Network = tuple[int, int]
"""(bits, address as a 128-bit integer with the rest zero)"""
EVERYWHERE: Network = (0, 0)
MAPPED: Network = (96, 0xFFFF << 32)
"""All of IPv4, which no network of IPv6 around it means: ::/0 is IPv6 only."""


def parse_network(text: str) -> Network:
    """`10.0.0.0/8`, `::1`, `127.0.0.1/8` (bits behind the prefix do not count)."""
    low, high = quantities.parse_network(text.strip())
    return 128 - (high - low).bit_length(), low


def shorten(network: Network, bits: int) -> Network:
    """The network of that length around another."""
    return bits, network[1] >> 128 - bits << 128 - bits


def hits_of(group: Group) -> dict[Network, int]:
    """By network: the constraints of which it or a network around it is a value."""
    own: dict[Network, int] = {EVERYWHERE: 0, MAPPED: 0}
    for at, constraint in enumerate(group.constraints):
        for network in constraint.values:
            own[network] = own.get(network, 0) | 1 << at
    lengths = sorted({bits for bits, _ in own})
    for network in sorted(own.keys() - {MAPPED}):
        around = [bits for bits in lengths if bits < network[0] and shorten(network, bits) in own]
        if around:
            own[network] |= own[shorten(network, around[-1])]
    return own


def compile_addresses(group: Group, number: int, into: Contents) -> None:
    """networks[{bits, filter, address}]. Where there is no address no filter on it holds, negated or not."""
    filter_bytes = struct.pack(">I", number)
    for (bits, address), hit in hits_of(group).items():
        key = NETWORK_KEY.pack(32 + bits, filter_bytes, address.to_bytes(16, "big"))
        into.maps["networks"][key] = pack_set(group.satisfied(hit))
    into.table(number, group.silent)
