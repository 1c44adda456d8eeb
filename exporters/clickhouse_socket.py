# SPDX-License-Identifier: Apache-2.0
"""A socket that reads no more of an answer than an honest server has to say.

clickhouse-driver believes every length that a server names and reads on until memory ends. Answers to what we
ask are a few kilobytes: a table's columns, an empty block, an error.
"""

from __future__ import annotations

import errno
from typing import Any

ANSWER_BYTES = 16 << 20
"""Most bytes of the answers to one request."""


class BoundedSocket:
    """Stands before a socket of any kind; `begin` is called before each request."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self.begin()

    def begin(self) -> None:
        """A new answer."""
        self._left = ANSWER_BYTES

    def recv_into(self, *arguments: Any) -> int:
        """As socket.recv_into. Raises ConnectionError when the answer is too long."""
        size = int(self._sock.recv_into(*arguments))
        self._left -= size
        if self._left < 0:
            raise ConnectionAbortedError(errno.ECONNABORTED, "the answer is too long")
        return size

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


def bound(connection: Any) -> None:
    """Put one before the socket of a clickhouse-driver's connection, whenever that connects."""
    create = connection._create_socket
    connection._create_socket = lambda *place: BoundedSocket(create(*place))
