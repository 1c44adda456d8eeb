# SPDX-License-Identifier: Apache-2.0
"""The question of a DNS message: RFC 1035, section 4."""

from __future__ import annotations

import struct

_HEADER = struct.Struct("!6H")
"""Id, flags, and how many questions, answers, authorities and additions follow (4.1.1)."""
_RESPONSE, _OPCODE = 0x8000, 0x7800
MAX_NAME = 255
"""Bytes of a name (2.3.4)."""
TYPES = {
    1: "A",
    2: "NS",
    5: "CNAME",
    6: "SOA",
    12: "PTR",
    15: "MX",
    16: "TXT",
    28: "AAAA",
    33: "SRV",
    65: "HTTPS",
}
"""https://www.iana.org/assignments/dns-parameters"""


def question_in(message: bytes) -> tuple[str, str] | None:
    """Name and type of the question of a query; None when it is no query. Of a message over TCP, the two
    bytes of its length are passed over (4.2.2)."""
    return _question(message) or (_question(message[2:]) if _is_framed(message) else None)


def _is_framed(message: bytes) -> bool:
    return len(message) > 14 and int.from_bytes(message[:2]) == len(message) - 2


def _question(message: bytes) -> tuple[str, str] | None:
    if len(message) < _HEADER.size + 5:
        return None
    _, flags, questions, answers, _, _ = _HEADER.unpack_from(message)
    if flags & (_RESPONSE | _OPCODE) or questions != 1 or answers:
        return None
    labels, at = [], _HEADER.size
    while at < len(message) and (size := message[at]):
        if size > 63 or at - _HEADER.size > MAX_NAME or at + 1 + size >= len(message):
            return None
        labels.append(message[at + 1 : at + 1 + size])
        at += 1 + size
    if not labels or len(message) < at + 5:
        return None
    kind = int.from_bytes(message[at + 1 : at + 3])
    return b".".join(labels).decode("utf-8", "replace"), TYPES.get(kind, str(kind))
