# SPDX-License-Identifier: Apache-2.0
"""What a connection without answers tells, on real sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporters.base import TryAgain
from exporters.stream import Stream, connect, connect_local
from exporters.tls import Tls, client_context
from tests.exporters.conftest import Certificates


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.settimeout(20)
        yield sock


@pytest.fixture
def ends(listener: socket.socket) -> Iterator[tuple[Stream, socket.socket]]:
    """Our stream and the server's socket."""
    stream = connect("127.0.0.1", listener.getsockname()[1], 2, None, "")
    peer, _ = listener.accept()
    with peer:
        yield stream, peer
    stream.close()


def test_what_was_sent_is_acknowledged_when_send_returns(ends: tuple[Stream, socket.socket]) -> None:
    stream, peer = ends
    stream.send(b"x" * 10_000)
    assert stream.unacknowledged() == 0
    assert peer.recv(4) == b"xxxx"


def test_an_open_connection_has_not_ended(ends: tuple[Stream, socket.socket]) -> None:
    assert not ends[0].has_ended()


def test_closed_with_everything_read_is_an_end_in_order(ends: tuple[Stream, socket.socket]) -> None:
    stream, peer = ends
    stream.send(b"x")
    peer.recv(10)
    peer.close()
    assert stream.has_ended()


def test_closed_with_unread_data_is_a_break(ends: tuple[Stream, socket.socket]) -> None:
    stream, peer = ends
    stream.send(b"x")
    peer.close()
    with pytest.raises(ConnectionResetError):
        stream.has_ended()


def test_a_peer_that_does_not_read_ends_in_a_timeout(listener: socket.socket) -> None:
    stream = connect("127.0.0.1", listener.getsockname()[1], 0.3, None, "")
    with pytest.raises(TimeoutError):
        stream.send(b"x" * (64 << 20))
    stream.close()


def test_a_name_that_does_not_resolve_is_tried_again() -> None:
    with pytest.raises(TryAgain, match=r"siem\.invalid:514: "):
        connect("siem.invalid", 514, 2, None, "")


def test_a_server_that_speaks_no_tls_needs_an_operator(listener: socket.socket) -> None:
    def serve() -> None:
        peer, _ = listener.accept()
        with peer:
            peer.sendall(b"220 hello\r\n")
            peer.recv(4096)

    thread = threading.Thread(target=serve)
    thread.start()
    with pytest.raises(TryAgain, match="TLS") as caught:
        connect("127.0.0.1", listener.getsockname()[1], 5, client_context(Tls(insecure=True)), "x")
    thread.join()
    assert caught.value.needs_operator


def test_a_certificate_of_another_name_needs_an_operator(
    listener: socket.socket, certificates: Certificates
) -> None:
    def serve() -> None:
        peer, _ = listener.accept()
        with peer:
            try:
                certificates.server().wrap_socket(peer, server_side=True).close()
            except OSError:
                return

    thread = threading.Thread(target=serve)
    thread.start()
    tls = client_context(Tls(ca_file=certificates.ca_file))
    with pytest.raises(TryAgain, match="siem") as caught:
        connect("127.0.0.1", listener.getsockname()[1], 5, tls, "siem.example.org")
    thread.join()
    assert caught.value.needs_operator


@pytest.mark.parametrize(("kind", "is_stream"), [(socket.SOCK_DGRAM, False), (socket.SOCK_STREAM, True)])
def test_a_unix_socket_is_taken_as_it_is(kind: socket.SocketKind, is_stream: bool, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, kind) as server:
        server.bind(str(tmp_path / "s"))
        if is_stream:
            server.listen()
        stream, sock = connect_local(str(tmp_path / "s"), 1)
        assert (stream is not None) == is_stream
        sock.close()


def test_a_unix_socket_that_is_not_there_is_tried_again(tmp_path: Path) -> None:
    with pytest.raises(TryAgain, match="No such file"):
        connect_local(str(tmp_path / "none"), 1)
