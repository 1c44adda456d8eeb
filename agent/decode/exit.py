# SPDX-License-Identifier: Apache-2.0
"""`struct exit_record`: the last thread of a process ended."""

from __future__ import annotations

from struct import Struct

from agent.decode.header import HEAD_FORMAT
from agent.events import Exit, Garbage, Head

EXIT = Struct("=" + HEAD_FORMAT + "I4x")
_new = tuple.__new__  # see agent.decode.fork


def decode_exit(raw: bytes) -> Exit | Garbage:
    """Raises nothing: what does not fit is Garbage."""
    if len(raw) < EXIT.size:
        return Garbage("exit record too short", len(raw))
    values = EXIT.unpack_from(raw)
    return _new(Exit, (_new(Head, values[:9]), values[9]))
