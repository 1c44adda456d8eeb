# SPDX-License-Identifier: Apache-2.0
"""`struct hook_record` of kprobes/include/policy.h: a call matched selectors of policies. `struct hook_data`:
pieces of a long buffer, which come ahead of it."""

from __future__ import annotations

from collections import OrderedDict
from struct import Struct

from agent.decode.header import HEAD_FORMAT
from agent.events import Garbage, Head, HookEvent, HookMatch, SentValue

HOOK = Struct("=" + HEAD_FORMAT + "QI2H2IiI2i8x")
MATCH = Struct("=H2x2IiIIQ")
SENT = Struct("=3BxI")
DATA = Struct("=" + HEAD_FORMAT + "4I")
BUFFER_HEAD = Struct("=2I")
"""Before the bytes of a buffer: how many there are in all, and how many follow."""
_CALLS_MOST = 64
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


class HookDecoder:
    """decode_hook, and the pieces that wait for their event: of at most _CALLS_MOST calls, the oldest are
    forgotten (their event was held back or lost)."""

    def __init__(self) -> None:
        self.waiting: OrderedDict[tuple[int, int], dict[int, list[tuple[int, bytes]]]] = OrderedDict()
        """By thread (tid) and hook: pieces of each value with their offsets, in order."""

    def add(self, raw: bytes) -> Garbage | None:
        """Keeps one piece."""
        if len(raw) < DATA.size:
            return Garbage("hook data too short", len(raw))
        fields = DATA.unpack_from(raw)
        hook, value, offset, length = fields[9:]
        if length > len(raw) - DATA.size:
            return Garbage("hook data shorter than it says", len(raw))
        pieces = self.waiting.setdefault((fields[4], hook), {}).setdefault(value, [])
        if pieces and offset <= pieces[-1][0]:
            pieces.clear()  # of a call whose event was held back
        pieces.append((offset, raw[DATA.size : DATA.size + length]))
        if len(self.waiting) > _CALLS_MOST:
            self.waiting.popitem(last=False)
        return None

    def __call__(self, raw: bytes) -> HookEvent | Garbage:
        """The event, its long buffers whole."""
        event = decode_hook(raw)
        if self.waiting and isinstance(event, HookEvent):
            pieces = self.waiting.pop((event.head.tid, event.hook), {})
            for index, found in pieces.items():
                if index in event.values:
                    event.values[index] = _longer(event.values[index], found)
        return event


def _longer(value: SentValue, pieces: list[tuple[int, bytes]]) -> SentValue:
    """The buffer with the pieces that follow it."""
    if len(value.data) < BUFFER_HEAD.size:
        return value
    wanted, sent = BUFFER_HEAD.unpack_from(value.data)
    data = value.data[BUFFER_HEAD.size : BUFFER_HEAD.size + sent]
    for offset, piece in pieces:
        if offset != len(data):
            break
        data += piece
    return value._replace(data=BUFFER_HEAD.pack(wanted, len(data)) + data)
