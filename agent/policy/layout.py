# SPDX-License-Identifier: Apache-2.0
"""The structs of kprobes/include/policy.h as bytes. A test compares sizes and offsets with the header's BTF.

A set of selectors (or of process classes) is a Python integer: bit n is member n.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from enum import IntEnum, IntFlag
from typing import NamedTuple

SET_WORDS = 4
HOOK_SELECTORS = 256
FEW_BITS = 8
HOOK_VALUES = 16
HOOK_FILTERS = 24
RESOLVE_STEPS = 10
PATH_TABLES = 2
PATH_BUCKETS = 256
POSTFIX_BYTES = 128
PREFIX_BYTES = 248
TEXT_BYTES = 4096
NO_VALUE = 0xFF
RANGES_MOST = 4095
"""Of one filter: what the binary search of kprobes/include/judge.h reaches (RANGE_STEPS)."""
TEXT_CLASSES = (24, 120, 504, 4096)
"""Bytes of the text in strings_24 ... strings_4096."""

EVERY = (1 << 64 * SET_WORDS) - 1
"""The set of all, used or not: who does not ask is satisfied by anything, so that a further selector that
does not ask changes no value's set."""


class Kind(IntEnum):
    """enum filter_kind."""

    EXACT = 1
    RANGE = 2
    MASK = 3
    ADDRESS = 4
    EQUAL = 5
    PREFIX = 6
    POSTFIX = 7
    AUTOMATON = 8


class Field(IntEnum):
    """enum filter_field."""

    INTEGER = 0
    TEXT = 1
    SADDR = 2
    DADDR = 3
    SPORT = 4
    DPORT = 5
    PROTOCOL = 6
    FAMILY = 7
    STATE = 8
    FILE_TYPE = 9
    CAP_GAINED = 10
    TGID = 11
    NSPID = 12
    NAMESPACE = 13
    NAMESPACE_CHANGED = 14
    CAP_EFFECTIVE = 15
    CAP_PERMITTED = 16
    CAP_INHERITABLE = 17
    CAP_EFFECTIVE_CHANGED = 18
    CAP_PERMITTED_CHANGED = 19
    CAP_INHERITABLE_CHANGED = 20
    UID = 21
    EUID = 22
    SUID = 23
    FSUID = 24
    GID = 25
    EGID = 26
    SGID = 27
    FSGID = 28
    IN_HOST_USER_NS = 29


class PathAsks(IntFlag):
    """enum path_asks."""

    FIRST = 1
    LAST = 2
    END = 4


class HookFlag(IntFlag):
    """enum hook_flags."""

    ASKS_CLASSES = 1 << 0
    ALL_ASK = 1 << 1
    MANY_CLASSES = 1 << 16
    MANY_SELECTORS = 1 << 17
    OVERRIDES = 1 << 2
    SIGNALS = 1 << 3
    KERNEL_STACK = 1 << 4
    USER_STACK = 1 << 5
    RATE_LIMITS = 1 << 6
    SYSCALL = 1 << 7
    AT_RETURN = 1 << 8
    JOINS = 1 << 9
    KEEPS = 1 << 10
    COMPAT = 1 << 11
    TRACKS_SOCKETS = 1 << 12
    ENFORCES = 1 << 13
    KEEPS_TEXTS = 1 << 14
    GUARDED = 1 << 15


class ActionFlag(IntFlag):
    """enum action_flags, those that a selector asks for."""

    POST = 1 << 0
    KERNEL_STACK = 1 << 1
    USER_STACK = 1 << 2
    SIGNAL = 1 << 3
    OVERRIDE = 1 << 4
    NOTIFY_ENFORCER = 1 << 5
    CLEANUP_ENFORCER = 1 << 6
    TRACK_SOCK = 1 << 7
    UNTRACK_SOCK = 1 << 8
    RATE_LIMIT = 1 << 9
    RATE_BY_PROCESS = 1 << 10
    RATE_GLOBAL = 1 << 11
    ENFORCE = 1 << 12


class FilterShape(NamedTuple):
    """struct filter_shape."""

    kind: int
    field: int
    value: int
    other: int
    is_early: bool
    is_signed: bool


VALUE_HEAD = struct.Struct("<8B2I")
STEP = struct.Struct("<2I")
VALUE = struct.Struct(f"<{VALUE_HEAD.size + STEP.size * RESOLVE_STEPS}s")
FILTER = struct.Struct("<6B2x")
SHAPE_HEAD = struct.Struct(f"<9I{PATH_TABLES}B{PATH_TABLES}B")
SHAPE_TAIL = struct.Struct("<2I")
"""unused_types, unused_fields"""
SHAPE_BYTES = SHAPE_HEAD.size + VALUE.size * HOOK_VALUES + FILTER.size * HOOK_FILTERS + SHAPE_TAIL.size
SET = struct.Struct(f"<{SET_WORDS}Q")
TABLE = struct.Struct("<2I32s")
PATH_TABLE_BYTES = 4 * 8 * SET_WORDS * PATH_BUCKETS
TABLES_HEAD_BYTES = SET.size * (4 + HOOK_SELECTORS)
TABLES_BYTES = TABLES_HEAD_BYTES + TABLE.size * HOOK_FILTERS + PATH_TABLE_BYTES * PATH_TABLES
INTEGER_KEY = struct.Struct("<2IQ")
RANGE = struct.Struct("<Q32s")
MASK_BIT = struct.Struct("<Q32s32s")
NETWORK_KEY = struct.Struct("<I4s16s")
PREFIX_KEY = struct.Struct(f"<I4s{PREFIX_BYTES}s")
POSTFIX_KEY = struct.Struct(f"<I4s{POSTFIX_BYTES}s")
TEXT_KEYS = {size: struct.Struct(f"<2I{size}s") for size in TEXT_CLASSES}
SELECTOR = struct.Struct("<2Q32s2IiII2B2xQQ")
INDEX = struct.Struct("<I")


def pack_set(members: int) -> bytes:
    """struct set."""
    return members.to_bytes(8 * SET_WORDS, "little")


def unpack_set(content: bytes) -> int:
    """The members of a struct set."""
    return int.from_bytes(content, "little")


def index_key(number: int) -> bytes:
    """Key of an array map."""
    return INDEX.pack(number)


def pack_words(buckets: Sequence[int]) -> list[bytes]:
    """Sets by bucket, as u64[PATH_BUCKETS] for each word."""
    rows = [pack_set(members) for members in buckets]
    return [b"".join(row[8 * word : 8 * word + 8] for row in rows) for word in range(SET_WORDS)]


def padded(parts: Iterable[bytes], size: int) -> bytes:
    """The parts one after the other, with zeros up to `size` bytes."""
    return b"".join(parts).ljust(size, b"\0")
