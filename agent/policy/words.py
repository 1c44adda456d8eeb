# SPDX-License-Identifier: Apache-2.0
"""Words for numbers in values of filters: checked here, with the nearest word when one is unknown."""

from __future__ import annotations

from collections.abc import Callable, Collection

from agent.configuration.values import shorten
from agent.log.capabilities import capability_names
from agent.policy.meanings import FILE_TYPES, family_number, file_type, protocol_number, socket_state
from agent.policy.names import FAMILIES, PROTOCOLS, TCP_STATES
from agent.policy.report import Wrong, nearest

CAPABILITIES = tuple(f"CAP_{name.removeprefix('CAP_')}" for name in capability_names(f"{(1 << 64) - 1:x}"))
"""In order of their bits."""


IPV6_PROTOCOLS = {
    "IPPROTO_HOPOPTS": 0,
    "IPPROTO_ROUTING": 43,
    "IPPROTO_FRAGMENT": 44,
    "IPPROTO_ICMPV6": 58,
    "IPPROTO_NONE": 59,
    "IPPROTO_DSTOPTS": 60,
    "IPPROTO_MH": 135,
}
"""Linux include/uapi/linux/in6.h; the model has them as numbers."""


def protocol(text: str) -> int:
    """A protocol of IP: `IPPROTO_TCP`, `tcp`, 6."""
    if text in IPV6_PROTOCOLS:
        return IPV6_PROTOCOLS[text]
    return _word(text, protocol_number, (*PROTOCOLS.values(), *IPV6_PROTOCOLS), "protocol", 0xFFFF)


def family(text: str) -> int:
    """A family of addresses: `AF_INET`, `inet`, 2."""
    return _word(text, family_number, FAMILIES.values(), "address family", 0xFFFF)


def state(text: str) -> int:
    """A state of a TCP socket: `TCP_LISTEN`, `listen`, 10."""
    return _word(text, socket_state, TCP_STATES.values(), "socket state", 0xFF)


def kind_of_file(text: str) -> int:
    """A type of file: `reg`, `dir`, `sock`, 8."""
    return _word(text, file_type, FILE_TYPES, "file type", 15)


def _word(text: str, read: Callable[[str], int], known: Collection[str], what: str, most: int) -> int:
    try:
        value = read(text)
    except ValueError:
        raise Wrong(f"{shorten(text)} is no {what}", nearest(text, known)) from None
    if not 0 <= value <= most:
        raise Wrong(f"{shorten(text)} is no {what}", f"the numbers are 0 to {most}")
    return value
