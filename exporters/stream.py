# SPDX-License-Identifier: Apache-2.0
"""A connection to a receiver that never answers: what can be known of it is what its kernel says.

tcp(7): SIOCOUTQ tells the bytes that the peer has not acknowledged. Closing a socket with unread data sends
RST instead of FIN (RFC 9293 section 3.6.1, RFC 2525 section 2.17): a FIN says that everything was read.
"""

from __future__ import annotations

import errno
import fcntl
import select
import socket
import ssl
import struct
import termios
import time

from exporters.base import TryAgain
from exporters.handshake import explain

_VERDICT_S = 0.5
"""How long a TLS server may take to refuse our certificate: with TLS 1.3 it does so after the handshake
(RFC 8446 section 4.4.2), and else says nothing or sends session tickets."""


class Stream:
    """A connected stream socket, plain or TLS."""

    def __init__(self, sock: socket.socket, timeout_s: float) -> None:
        self._socket = sock
        self._timeout_s = timeout_s
        sock.settimeout(timeout_s)

    def send(self, data: bytes) -> None:
        """Hand over all of it and wait until the peer's kernel has it. Raises OSError."""
        self._socket.sendall(data)
        deadline, pause = time.monotonic() + self._timeout_s, 0.0005
        while self.unacknowledged():
            if time.monotonic() > deadline:
                raise TimeoutError("the receiver does not take what is sent")
            time.sleep(pause)
            pause = min(pause * 2, 0.05)

    def unacknowledged(self) -> int:
        """Bytes that the peer's kernel has not confirmed."""
        return int(struct.unpack("i", fcntl.ioctl(self._socket, termios.TIOCOUTQ, b"\0" * 4))[0])

    def has_ended(self) -> bool:
        """Whether the peer has closed in order. Raises OSError when the connection broke."""
        self._socket.settimeout(0)
        try:
            while self._socket.recv(4096):
                pass
            return True
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        finally:
            self._socket.settimeout(self._timeout_s)

    def close(self) -> None:
        """Close; never raises. Nothing is awaited: what was sent is acknowledged."""
        self._socket.close()


def connect(host: str, port: int, timeout_s: float, tls: ssl.SSLContext | None, name: str) -> Stream:
    """Connect over TCP, with TLS if there is a context; `name` must be the certificate's. Raises TryAgain."""
    try:
        sock = socket.create_connection((host, port), timeout=timeout_s)
    except OSError as error:
        raise TryAgain(f"{host}:{port}: {error.strerror or error}") from None
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(timeout_s * 1000))
    return Stream(sock if tls is None else _wrap(sock, tls, name), timeout_s)


def _wrap(sock: socket.socket, tls: ssl.SSLContext, name: str) -> ssl.SSLSocket:
    try:
        sock = secured = tls.wrap_socket(sock, server_hostname=name)
        if select.select([secured], [], [], _VERDICT_S)[0] and Stream(secured, 1.0).has_ended():
            raise ssl.SSLError(
                "closed after the handshake; does the receiver want a certificate (tls.cert_file)?"
            )
    except ssl.SSLError as error:
        sock.close()
        raise explain(str(error)) from None
    except OSError as error:
        sock.close()
        raise TryAgain(f"TLS: {error.strerror or error}") from None
    return secured


def connect_local(path: str, timeout_s: float) -> tuple[Stream | None, socket.socket]:
    """A Unix socket; the Stream is None when it takes datagrams. Raises TryAgain."""
    try:
        try:
            return None, _local(path, socket.SOCK_DGRAM, timeout_s)
        except OSError as error:
            if error.errno != errno.EPROTOTYPE:
                raise
            sock = _local(path, socket.SOCK_STREAM, timeout_s)
            return Stream(sock, timeout_s), sock
    except OSError as error:
        raise TryAgain(f"{path}: {error.strerror or error}") from None


def _local(path: str, kind: socket.SocketKind, timeout_s: float) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, kind)
    try:
        sock.settimeout(timeout_s)
        sock.connect(path)
    except OSError:
        sock.close()
        raise
    return sock
