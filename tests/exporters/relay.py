# SPDX-License-Identifier: Apache-2.0
"""A TCP relay on loopback before a real receiver, for the faults that a receiver does not have by itself."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress

Change = Callable[[bytes], bytes]


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens at just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def part(sock: socket.socket) -> None:
    """Close in order: what the other side still sends is read, lest a reset take our last word away."""
    sock.settimeout(2)
    with sock, suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(1 << 16):
            pass


class Relay:
    """Passes bytes on in both directions; `asked` and `answered` may change what passes."""

    def __init__(self, target: int, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.asked: Change = bytes
        self.answered: Change = bytes
        self.cut_after: int | None = None
        """Bytes towards the receiver, of all connections, after which connections break; None: never."""
        self.passed = 0
        self.connections = 0
        self._target = target
        self._tls = tls
        self._open: list[socket.socket] = []
        self._listener: socket.socket | None = None
        self.port = port
        self.start()

    def start(self) -> None:
        """Listen (again)."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def stop(self) -> None:
        """Nobody is there any more: connections break, new ones are refused."""
        listener, self._listener = self._listener, None
        for one in [*([listener] if listener else []), *self._open]:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._open.clear()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                self.connections += 1
                threading.Thread(target=self._join, args=(near,), daemon=True).start()

    def _join(self, near: socket.socket) -> None:
        try:
            near = self._secured(near) if self._tls else near
            self.greet(near)
            far = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            near.close()
            return
        self._open += [near, far]
        threading.Thread(target=self._pass, args=(near, far, True), daemon=True).start()
        threading.Thread(target=self._pass, args=(far, near, False), daemon=True).start()

    def greet(self, near: socket.socket) -> None:
        """What is said before the receiver hears anything: nothing. Raises OSError to end the connection."""

    def _secured(self, near: socket.socket) -> socket.socket:
        assert self._tls is not None
        secured = self._tls.wrap_socket(near, server_side=True, do_handshake_on_connect=False)
        try:
            secured.do_handshake()
        except OSError:
            part(socket.socket(fileno=secured.detach()))
            raise
        return secured

    def _pass(self, source: socket.socket, sink: socket.socket, towards: bool) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                self.passed += len(data) if towards else 0
                if towards and self.cut_after is not None and self.passed > self.cut_after:
                    break
                sink.sendall((self.asked if towards else self.answered)(data))
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
