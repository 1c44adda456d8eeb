# SPDX-License-Identifier: Apache-2.0
"""Stack traces that hook programs left in the map `stacks`, by id. Equal stacks have one id; an id is free
for another stack only when we have deleted it, which is done when no record that names it can wait any
more. While too many different stacks are kept, further ones find no room (-EEXIST in the record)."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable

from agent.kernel.objects import BpfMap

DEPTH = 127
"""Frames of a stack: PERF_MAX_STACK_DEPTH of linux/perf_event.h, and value_size of the map
(kprobes/policies.bpf.c)."""
NO_ROOM = -17
"""-EEXIST of bpf_get_stackid: another stack has the place."""
KEEP_S = 10.0
"""So long after a record named it a stack is kept, in seconds: records wait in the ring for less."""
_ADDRESSES = struct.Struct(f"={DEPTH}Q")


class StackMap:
    """The map, and which of its ids are in use."""

    def __init__(self, current: Callable[[], BpfMap]) -> None:
        """`current`: the map; it is replaced by a larger one when the first policy asks for stacks."""
        self._current = current
        self._used: dict[int, float] = {}
        """When an id was asked for last (CLOCK_MONOTONIC)."""

    def addresses(self, stack: int) -> tuple[int, ...]:
        """Where the calls return to, the innermost first; empty for an id that is not there."""
        content = self._current().lookup(struct.pack("=I", stack)) if stack >= 0 else None
        if content is None:
            return ()
        self._used[stack] = time.monotonic()
        found = _ADDRESSES.unpack(content)
        return found[: found.index(0)] if 0 in found else found

    def sweep(self, keep_s: float = KEEP_S) -> int:
        """Gives ids back that no record has named for a while; returns how many. To be called now and
        then."""
        if not self._used:
            return 0
        before = time.monotonic() - keep_s
        gone = [stack for stack, used in self._used.items() if used < before]
        for stack in gone:
            self._current().delete(struct.pack("=I", stack))
            del self._used[stack]
        return len(gone)
