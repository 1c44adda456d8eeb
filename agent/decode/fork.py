# SPDX-License-Identifier: Apache-2.0
"""`struct fork_record`: a thread group was created."""

from __future__ import annotations

from struct import Struct

from agent.decode.header import HEAD_FORMAT
from agent.events import Fork, Garbage, Head

FORK = Struct("=" + HEAD_FORMAT + "QI4x")
_new = tuple.__new__  # what a NamedTuple's own constructor ends in, without the frame before it


def decode_fork(raw: bytes) -> Fork | Garbage:
    """Raises nothing: what does not fit is Garbage."""
    if len(raw) < FORK.size:
        return Garbage("fork record too short", len(raw))
    values = FORK.unpack_from(raw)
    return _new(Fork, (_new(Head, values[:9]), values[10], values[9]))
