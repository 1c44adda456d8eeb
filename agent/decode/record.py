# SPDX-License-Identifier: Apache-2.0
"""The table from a record's kind to its decoder."""

from __future__ import annotations

from collections.abc import Callable

from agent.decode.cgroup import decode_cgroup
from agent.decode.chunk import Chunks
from agent.decode.exec import ExecDecoder
from agent.decode.exit import decode_exit
from agent.decode.fork import decode_fork
from agent.decode.header import (
    KIND_CGROUP,
    KIND_CHUNK,
    KIND_EXEC,
    KIND_EXIT,
    KIND_FORK,
    KIND_HOOK,
    KIND_HOOK_DATA,
)
from agent.decode.hook import HookDecoder
from agent.events import Garbage, Record


class Decoder:
    """Bytes of one ring record to a typed record; None for a chunk, which waits for what it is part of."""

    def __init__(self) -> None:
        chunks = self.chunks = Chunks()
        hooks = self.hooks = HookDecoder()
        self._table: dict[int, Callable[[bytes], Record | None]] = {
            KIND_EXEC: ExecDecoder(chunks),
            KIND_FORK: decode_fork,
            KIND_EXIT: decode_exit,
            KIND_CHUNK: chunks.add,
            KIND_HOOK: hooks,
            KIND_HOOK_DATA: hooks.add,
            KIND_CGROUP: decode_cgroup,
        }

    def __call__(self, raw: bytes) -> Record | None:
        """Raises nothing: what is not a record is Garbage."""
        decode = self._table.get(raw[0]) if raw else None
        return decode(raw) if decode else Garbage("unknown kind", len(raw))
