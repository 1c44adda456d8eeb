# SPDX-License-Identifier: Apache-2.0
"""Buckets of path names, as kprobes/include/buckets.h computes them: by them a hook rejects a path without
building it. A path whose bucket is in no filter's table cannot be one of those asked for; equal buckets say
nothing."""

from __future__ import annotations

BUCKETS = 256
"""PATH_BUCKETS; this number itself means: not known, only the whole path tells."""
_MIX_LENGTH = 0x9E3779B97F4A7C15
_MIX_WORD = 0xFF51AFD7ED558CCD
_WORD = (1 << 64) - 1


def _mix(name: bytes) -> int:
    word = int.from_bytes(name[:8], "little")
    return (word ^ len(name) * _MIX_LENGTH & _WORD) * _MIX_WORD & _WORD


def first(name: bytes) -> int:
    """Bucket of a path's topmost name: `etc` of /etc/passwd, empty of `/`."""
    return _mix(name) >> 56


def second(top: bytes, name: bytes) -> int:
    """Bucket of the two topmost names; `name` is empty where there is only one."""
    mixed = _mix(top)
    turned = mixed >> 32 | (mixed & 0xFFFFFFFF) << 32
    return ((turned ^ _mix(name)) * _MIX_WORD & _WORD) >> 56


def last(name: bytes) -> int:
    """Bucket of a path's last name, from its length and its first eight bytes."""
    return _mix(name) >> 56


def end(pair: bytes) -> int:
    """Bucket of the last two bytes of a path's text: of /a they are `/a`."""
    return (int.from_bytes(pair, "little") * _MIX_LENGTH & _WORD) >> 56


def of_path(path: bytes) -> tuple[int, int, int, int]:
    """first, second, last and end of an absolute path other than `/`."""
    names = [*path.split(b"/")[1:], b""]
    return first(names[0]), second(names[0], names[1]), last(names[-2]), end(path[-2:])
