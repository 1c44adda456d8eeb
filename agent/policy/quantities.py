# SPDX-License-Identifier: Apache-2.0
"""Numbers, ranges, ports, networks and durations as policies write them. Raises Wrong."""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

from agent.configuration.values import shorten
from agent.policy.report import Wrong

_INTEGER = re.compile(
    r"([+-]?)(?:0[xX]([0-9a-fA-F]{1,32})|0[oO]?([0-7]{1,44})|0[bB]([01]{1,128})|(0|[1-9][0-9]{0,39}))"
)
_DURATION = re.compile(r"([0-9]{1,12})([smh]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}
MOST_SECONDS = 366 * 86400
"""Longest rate limit."""


class Range(NamedTuple):
    """Both ends included."""

    low: int
    high: int


def parse_integer(text: str) -> int:
    """Decimal, 0x hexadecimal, 0 or 0o octal, 0b binary, with or without a sign."""
    match = _INTEGER.fullmatch(text)
    if match is None:
        raise Wrong(f"{shorten(text)} is not an integer", "write 10, -10, 0x1f or 0o17")
    sign, *digits = match.groups()
    value = next(int(d, base) for d, base in zip(digits, (16, 8, 2, 10), strict=True) if d is not None)
    return -value if sign == "-" else value


def parse_within(text: str, low: int, high: int) -> int:
    """An integer from `low` to `high`."""
    value = parse_integer(text)
    if not low <= value <= high:
        raise Wrong(f"{shorten(text)} is out of range", f"allowed are {low} to {high}")
    return value


def parse_range(text: str, low: int, high: int) -> Range:
    """`min:max`, or one number for both."""
    first, colon, last = text.partition(":")
    found = Range(parse_within(first, low, high), parse_within(last if colon else first, low, high))
    if found.low > found.high:
        raise Wrong(f"{shorten(text)} is an empty range", f"write {last}:{first}")
    return found


def parse_port(text: str) -> Range:
    """A port or `min:max`."""
    return parse_range(text, 0, 65535)


def parse_network(text: str) -> Range:
    """An address or CIDR network as the range of its addresses, 128 bits wide; IPv4 as ::ffff:a.b.c.d. Bits
    behind the prefix are ignored, as in 127.0.0.1/8."""
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise Wrong(
            f"{shorten(text)} is no IP address or network", "write 10.0.0.1, 10.0.0.0/8 or 2001:db8::/32"
        ) from None
    base = 0xFFFF << 32 if network.version == 4 else 0
    return Range(base + int(network.network_address), base + int(network.broadcast_address))


def parse_duration_ns(text: str) -> int:
    """A rate limit in nanoseconds: seconds, or with s, m or h behind the number."""
    match = _DURATION.fullmatch(text)
    seconds = int(match[1]) * _SECONDS[match[2]] if match else 0
    if not match or not 0 < seconds <= MOST_SECONDS:
        raise Wrong(f"{shorten(text)} is no duration", "write seconds, or 10s, 5m, 1h; at most a year")
    return seconds * 1_000_000_000
