# SPDX-License-Identifier: Apache-2.0
"""A real HTTP server on loopback that answers as a test wants it to, and keeps what it accepted."""

from __future__ import annotations

import contextlib
import gzip
import socket
import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson

Answer = tuple[int, dict[str, str]]
Answering = Callable[["Receiver", bytes, dict[str, str]], "Answer | None"]
"""Body and headers -> status and headers; None breaks the connection off in the middle of an answer."""


class Receiver:
    """Listens until `close`."""

    def __init__(self, context: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.answers: list[Answering | Answer] = []
        """What to say to the next requests; then 200."""
        self.accepted: list[dict[str, Any]] = []
        self.requests = 0
        self.headers: dict[str, str] = {}
        self._connections: list[socket.socket] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                receiver._connections.append(self.request)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver._answer(self, body)

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.port}/in"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        """Stops listening and breaks off what is open."""
        self._server.shutdown()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()
        self._thread.join()

    def sequences(self) -> list[int]:
        """Numbers of what was accepted, in order."""
        return [
            record["tracehound"]["sequence"] for record in self.accepted if "sequence" in record["tracehound"]
        ]

    def _answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        self.requests += 1
        self.headers = dict(handler.headers)
        if handler.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        said = self.answers.pop(0) if self.answers else (200, {})
        answer = said(self, body, self.headers) if callable(said) else said
        if answer is None:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            handler.close_connection = True
            return
        if 200 <= answer[0] < 300:
            self.accepted += orjson.loads(body) if body[:1] == b"[" else map(orjson.loads, body.splitlines())
        handler.send_response(answer[0])
        for name, value in {**answer[1], "Content-Length": "0"}.items():
            handler.send_header(name, value)
        handler.end_headers()


def hang(seconds: float) -> Answering:
    """Says nothing for so long."""

    def answering(_receiver: Receiver, _body: bytes, _headers: dict[str, str]) -> Answer | None:
        time.sleep(seconds)
        return None

    return answering
