# SPDX-License-Identifier: Apache-2.0
"""Names in policies as the kernel's numbers."""

import socket
import stat
from collections.abc import Callable

import pytest

from agent.policy.meanings import capability_bit, family_number, file_type, protocol_number, socket_state


@pytest.mark.parametrize(
    ("read", "text", "number"),
    [
        (protocol_number, "IPPROTO_UDP", socket.IPPROTO_UDP),
        (protocol_number, "gre", socket.IPPROTO_GRE),
        (protocol_number, "132", socket.IPPROTO_SCTP),
        (family_number, "AF_INET6", socket.AF_INET6),
        (family_number, "AF_LOCAL", socket.AF_UNIX),
        (socket_state, "TCP_LISTEN", 10),
        (socket_state, "close_wait", 8),
        (file_type, "dir", stat.S_IFDIR >> 12),
        (file_type, "socket", stat.S_IFSOCK >> 12),
        (capability_bit, "CAP_SYS_ADMIN", 21),
        (capability_bit, "cap_dac_override", 1),
        (capability_bit, "40", 40),
    ],
)
def test_a_name_is_its_number(read: Callable[[str], int], text: str, number: int) -> None:
    assert read(text) == number


def test_an_unknown_name_is_told() -> None:
    with pytest.raises(ValueError, match="IPPROTO_NONSENSE"):
        protocol_number("IPPROTO_NONSENSE")
