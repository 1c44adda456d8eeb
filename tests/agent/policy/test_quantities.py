# SPDX-License-Identifier: Apache-2.0
"""Numbers as policies write them."""

from __future__ import annotations

import ipaddress

import pytest

from agent.policy.quantities import (
    parse_duration_ns,
    parse_integer,
    parse_network,
    parse_port,
    parse_range,
)
from agent.policy.report import Wrong


@pytest.mark.parametrize(
    ("text", "value"),
    [("10", 10), ("-1", -1), ("+7", 7), ("0x1F", 31), ("0644", 420), ("0o17", 15), ("0b101", 5), ("0", 0)],
)
def test_integers_have_the_bases_of_go_and_c(text: str, value: int) -> None:
    assert parse_integer(text) == value


@pytest.mark.parametrize("text", ["", "x", "1.5", "0x", "08", "1_000", " 1", "--1", "٣", "9" * 5000])
def test_other_texts_are_no_integers(text: str) -> None:
    with pytest.raises(Wrong, match="is not an integer"):
        parse_integer(text)


def test_ranges_go_upwards() -> None:
    assert parse_range("-5:5", -10, 10) == (-5, 5)
    assert parse_range("7", 0, 10) == (7, 7)
    with pytest.raises(Wrong, match="empty range") as caught:
        parse_range("9:3", 0, 10)
    assert caught.value.hint == "write 3:9"


def test_ports_have_sixteen_bits() -> None:
    assert parse_port("80:443") == (80, 443)
    with pytest.raises(Wrong, match="out of range"):
        parse_port("65536")


def test_networks_cover_their_addresses() -> None:
    low, high = parse_network("127.0.0.1/8")
    assert low == int(ipaddress.IPv6Address("::ffff:127.0.0.0"))
    assert high == int(ipaddress.IPv6Address("::ffff:127.255.255.255"))
    assert parse_network("2001:db8::1") == (int(ipaddress.ip_address("2001:db8::1")),) * 2
    with pytest.raises(Wrong, match="no IP address"):
        parse_network("10.0.0.256")


@pytest.mark.parametrize(("text", "seconds"), [("5", 5), ("5s", 5), ("2m", 120), ("1h", 3600)])
def test_durations_are_seconds_unless_they_say_otherwise(text: str, seconds: int) -> None:
    assert parse_duration_ns(text) == seconds * 10**9


@pytest.mark.parametrize("text", ["0", "", "1d", "-1", "1.5s", "99999999h"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(Wrong, match="is no duration"):
        parse_duration_ns(text)
