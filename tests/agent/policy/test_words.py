# SPDX-License-Identifier: Apache-2.0
"""Words for numbers."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from agent.policy.report import Wrong
from agent.policy.words import CAPABILITIES, family, kind_of_file, protocol, state


def test_protocols_and_families_are_those_of_the_system() -> None:
    assert protocol("IPPROTO_TCP") == socket.IPPROTO_TCP == protocol("6")
    assert protocol("IPPROTO_ICMPV6") == socket.IPPROTO_ICMPV6
    assert family("AF_INET6") == socket.AF_INET6
    assert family("AF_VSOCK") == socket.AF_VSOCK


def test_states_and_file_types() -> None:
    assert (state("TCP_LISTEN"), state("1")) == (10, 1)
    assert (kind_of_file("reg"), kind_of_file("sock"), kind_of_file("dir")) == (8, 12, 4)


def test_capabilities_stand_in_the_order_of_their_bits() -> None:
    assert (CAPABILITIES[1], CAPABILITIES[21]) == ("CAP_DAC_OVERRIDE", "CAP_SYS_ADMIN")


@pytest.mark.parametrize(
    ("read", "text", "hint"),
    [
        (protocol, "IPPROTO_UDPP", 'did you mean "IPPROTO_UDP"?'),
        (protocol, "65536", "the numbers are 0 to 65535"),
        (family, "AF_INET4", 'did you mean "AF_INET'),
        (state, "TCP_LISTENING", 'did you mean "TCP_LISTEN"?'),
        (kind_of_file, "regul", 'did you mean "regular"?'),
    ],
)
def test_unknown_words_get_the_nearest(read: Callable[[str], int], text: str, hint: str) -> None:
    with pytest.raises(Wrong) as caught:
        read(text)
    assert caught.value.hint.startswith(hint)
