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
    """Raises nothing: what does not fit is Garbage."""
    if len(raw) < _AFTER_HOOK:
        return Garbage("hook record too short", len(raw))
    (kind, flags, ktime, tgid, tid, image, parent, nspid, parent_ktime,
     cgroup, hook, match_count, value_count, values_at, actions,
     error, signal, kernel_stack, user_stack) = HOOK.unpack_from(raw)  # fmt: skip
    end = _AFTER_HOOK + match_count * _MATCH_BYTES
    if not match_count or len(raw) < end:
        return Garbage("hook record without its matches", len(raw))
    matches = [
        _new(HookMatch, MATCH.unpack_from(raw, start)) for start in range(_AFTER_HOOK, end, _MATCH_BYTES)
    ]
    values = _values(raw, max(end, _AFTER_HOOK + values_at), value_count)
    if values is None:
        return Garbage("hook record shorter than its values", len(raw))
    head = _new(Head, (kind, flags, ktime, tgid, tid, image, parent, nspid, parent_ktime))
    return _new(
        HookEvent, (head, hook, matches, values, cgroup, actions, error, signal, kernel_stack, user_stack)
    )


def _values(raw: bytes, at: int, count: int) -> dict[int, SentValue] | None:
    """Values by index, None where the record ends before they do. Every part begins at a multiple of 8."""
    values: dict[int, SentValue] = {}
    size = len(raw)
    for _ in range(count):
        start = at + _SENT_BYTES
        if start > size:
            return None
        index, kind, status, length = SENT.unpack_from(raw, at)
        end = start + length
        if end > size:
            return None
        values[index] = _new(SentValue, (kind, status, raw[start:end]))
        at = end + 7 & -8
    return values
