# SPDX-License-Identifier: Apache-2.0
"""A server that says what it is told to say, whatever it is asked."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def answering(*pieces: bytes, slowly: bool = False) -> Iterator[tuple[int, list[bytes]]]:
    """A server that gives each connection the same answer, piece by piece; its port, and what it heard."""
    heard: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                peer, _ = listener.accept()
                with peer, suppress(OSError):
                    peer.settimeout(5)
                    heard.append(peer.recv(1 << 16))
                    for piece in pieces:
                        peer.sendall(piece)
                        time.sleep(0.2 if slowly else 0)
                    peer.shutdown(socket.SHUT_WR)
                    while peer.recv(1 << 16):
                        pass

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1], heard
    finally:
        listener.close()
