# SPDX-License-Identifier: Apache-2.0
"""`struct hook_record` of kprobes/include/policy.h: a call matched selectors of policies."""

from __future__ import annotations

from struct import Struct

from agent.decode.header import HEAD_FORMAT
from agent.events import Garbage, Head, HookEvent, HookMatch, SentValue

HOOK = Struct("=" + HEAD_FORMAT + "QI2H2IiI2i8x")
MATCH = Struct("=H2x2IiIIQ")
SENT = Struct("=3BxI")
_AFTER_HOOK, _MATCH_BYTES, _SENT_BYTES = HOOK.size, MATCH.size, SENT.size
_new = tuple.__new__  # see agent.decode.fork


def decode_hook(raw: bytes) -> HookEvent | Garbage:
    """Raises nothing: what does not fit is Garbage. Every part begins at a multiple of 8."""
    size = len(raw)
    if size < _AFTER_HOOK:
        return Garbage("hook record too short", size)
    fields = HOOK.unpack_from(raw)
    match_count = fields[11]
    at = _AFTER_HOOK + match_count * _MATCH_BYTES
    if not match_count or size < at:
        return Garbage("hook record without its matches", size)
    if match_count == 1:
        matches = [_new(HookMatch, MATCH.unpack_from(raw, _AFTER_HOOK))]
    else:
        matches = [_new(HookMatch, found) for found in MATCH.iter_unpack(raw[_AFTER_HOOK:at])]
    at = max(at, _AFTER_HOOK + fields[13])
    values = {}
    for _ in range(fields[12]):
        start = at + _SENT_BYTES
        if start > size:
            return Garbage("hook record shorter than its values", size)
        index, kind, status, length = SENT.unpack_from(raw, at)
        at = start + length
        if at > size:
            return Garbage("hook record shorter than its values", size)
        values[index] = _new(SentValue, (kind, status, raw[start:at]))
        at = at + 7 & -8
    head = _new(Head, fields[:9])
    return _new(HookEvent, (head, fields[10], matches, values, fields[9], *fields[14:]))
