# SPDX-License-Identifier: Apache-2.0
"""Values of policies as the numbers that the kernel compares: protocols, families, socket states, file types,
capabilities. ValueError names what is unknown."""

from __future__ import annotations

from collections.abc import Mapping

from agent.log.capabilities import capability_names
from agent.policy.names import FAMILIES, PROTOCOLS, TCP_STATES
from agent.policy.quantities import parse_integer


def _numbers(names: Mapping[int, str], prefix: str) -> dict[str, int]:
    return {name.upper().removeprefix(prefix): number for number, name in names.items()}


_PROTOCOLS = _numbers(PROTOCOLS, "IPPROTO_")
_FAMILIES = _numbers(FAMILIES, "AF_") | {"LOCAL": 1}
_STATES = _numbers(TCP_STATES, "TCP_")
_CAPABILITIES = {
    name.removeprefix("CAP_"): bit for bit in range(64) for name in capability_names(f"{1 << bit:x}")
}
FILE_TYPES = {
    "sock": 12,
    "socket": 12,
    "lnk": 10,
    "link": 10,
    "reg": 8,
    "regular": 8,
    "blk": 6,
    "block": 6,
    "dir": 4,
    "chr": 2,
    "char": 2,
    "fifo": 1,
    "pipe": 1,
}
"""i_mode >> 12: Linux include/uapi/linux/stat.h."""


def _number(text: str, prefix: str, names: Mapping[str, int]) -> int:
    found = names.get(text.strip().upper().removeprefix(prefix))
    return parse_integer(text.strip()) if found is None else found


def protocol_number(text: str) -> int:
    """`IPPROTO_TCP`, `tcp` or a number."""
    return _number(text, "IPPROTO_", _PROTOCOLS)


def family_number(text: str) -> int:
    """`AF_INET`, `inet` or a number."""
    return _number(text, "AF_", _FAMILIES)


def socket_state(text: str) -> int:
    """`TCP_LISTEN`, `listen` or a number."""
    return _number(text, "TCP_", _STATES)


def capability_bit(text: str) -> int:
    """`CAP_SYS_ADMIN` or the number of its bit."""
    return _number(text, "CAP_", _CAPABILITIES)


def file_type(text: str) -> int:
    """`reg`, `dir`, `sock` ... or the number that S_IFMT >> 12 is."""
    found = FILE_TYPES.get(text.strip().lower())
    return parse_integer(text.strip()) if found is None else found
