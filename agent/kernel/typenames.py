# SPDX-License-Identifier: Apache-2.0
"""Types by their names, read from the raw types of a kernel at once. For each name libbpf looks through all
130,000 (0.3 ms each time); a policy on all system calls asks for thousands.

Format: Linux Documentation/bpf/btf.rst.
"""

from __future__ import annotations

import struct

_HEADER = struct.Struct("=HBBIIIII")
"""struct btf_header: magic, version, flags, hdr_len, type_off, type_len, str_off, str_len."""
_MAGIC = 0xEB9F
_WORDS = {1: 1, 3: 3, 14: 1, 17: 1}
"""Words behind the three of struct btf_type, by kind: INT, ARRAY, VAR, DECL_TAG."""
_WORDS_EACH = {4: 3, 5: 3, 6: 2, 13: 2, 15: 3, 19: 3}
"""Words of each member, enumerator, parameter or variable: STRUCT, UNION, ENUM, FUNC_PROTO, DATASEC,
ENUM64."""
_KINDS = 32


def types_of_kind(raw: bytes, wanted: int) -> dict[bytes, int]:
    """The number of the first type of this kind with each name. Empty where it is no BTF of this machine's
    byte order."""
    if len(raw) < _HEADER.size:
        return {}
    magic, _, _, header, at, length, names_at, names_length = _HEADER.unpack_from(raw)
    if magic != _MAGIC:
        return {}
    names = raw[header + names_at : header + names_at + names_length]
    words = memoryview(raw)[header + at : header + at + length].cast("I")
    fixed = [3 + _WORDS.get(kind, 0) for kind in range(_KINDS)]
    each = [_WORDS_EACH.get(kind, 0) for kind in range(_KINDS)]
    found: dict[bytes, int] = {}
    place, number, end = 0, 1, len(words)
    while place < end:
        info = words[place + 1]
        kind = info >> 24 & _KINDS - 1
        if kind == wanted:
            name = words[place]
            found.setdefault(names[name : names.index(b"\0", name)], number)
        place += fixed[kind] + each[kind] * (info & 0xFFFF)
        number += 1
    return found
