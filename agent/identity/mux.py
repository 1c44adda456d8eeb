# SPDX-License-Identifier: Apache-2.0
"""Frames of the Node Resource Interface: one socket carries two connections, on each of which one side asks
and the other answers by ttrpc. Bytes in, messages out; nothing here reads or writes.

Sources: containerd/nri pkg/net/multiplex/mux.go (number of the connection, length; 32 bits each, big-endian)
and ttrpc.go beside it; containerd/ttrpc PROTOCOL.md (length, stream, kind, flags)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

PLUGIN, RUNTIME = 1, 2
"""Connections by who serves on them."""
REQUEST, RESPONSE = 1, 2
"""Kinds of messages. Streams of data (3) are no part of NRI."""
LONGEST = 4 << 20
"""Bytes of a message's content (ttrpc)."""
_TRUNK = struct.Struct(">II")
_HEAD = struct.Struct(">IIBB")
LONGEST_PIECE = LONGEST + _HEAD.size
"""Bytes of one frame of a connection; a message may come in several."""


class BadFrame(Exception):
    """What came is not NRI."""


class Message(NamedTuple):
    """One message of ttrpc."""

    connection: int
    stream: int
    """Chosen by who asks; the answer has the same."""
    kind: int
    content: bytes


class Incoming:
    """What has come, until it is whole."""

    def __init__(self) -> None:
        self._trunk = bytearray()
        self._pieces: dict[int, bytearray] = {PLUGIN: bytearray(), RUNTIME: bytearray()}

    def take(self, data: bytes) -> Iterator[Message]:
        """The messages that are whole now. Raises BadFrame; nothing can be made of the socket then."""
        self._trunk += data
        while (piece := self._next()) is not None:
            connection, content = piece
            if (waiting := self._pieces.get(connection)) is not None:  # others are of a later version
                waiting += content
                yield from _messages(connection, waiting)

    def _next(self) -> tuple[int, bytes] | None:
        trunk = self._trunk
        if len(trunk) < _TRUNK.size:
            return None
        connection, length = _TRUNK.unpack_from(trunk)
        if length > LONGEST_PIECE:
            raise BadFrame(f"a frame of {length} bytes")
        end = _TRUNK.size + length
        if len(trunk) < end:
            return None
        content = bytes(trunk[_TRUNK.size : end])
        del trunk[:end]
        return connection, content


def _messages(connection: int, waiting: bytearray) -> Iterator[Message]:
    while len(waiting) >= _HEAD.size:
        length, stream, kind, _flags = _HEAD.unpack_from(waiting)
        if length > LONGEST:
            raise BadFrame(f"a message of {length} bytes")
        end = _HEAD.size + length
        if len(waiting) < end:
            return
        content = bytes(waiting[_HEAD.size : end])
        del waiting[:end]
        yield Message(connection, stream, kind, content)


def encode(message: Message) -> bytes:
    """In one frame. Ours are short: the other end takes none of more than 4,096 bytes (bufio.Reader over
    mux.go's conn.Read)."""
    head = _HEAD.pack(len(message.content), message.stream, message.kind, 0)
    return _TRUNK.pack(message.connection, len(head) + len(message.content)) + head + message.content
