# SPDX-License-Identifier: Apache-2.0
"""A real HTTP server on loopback that plays a protocol and, when told to, misbehaves."""

from __future__ import annotations

import gzip
import ssl
import threading
from collections import deque
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Request(NamedTuple):
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    """Decompressed."""


class Reply(NamedTuple):
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = {}
    fault: str = ""
    """`half`: the connection ends in the middle of the answer; `hang`: none; `drop`: closed without one."""


class HttpReceiver:
    """Serves `app`; replies in `faults` are given first, without asking it."""

    def __init__(self, app: Callable[[Request], Reply], tls: ssl.SSLContext | None = None) -> None:
        self.app = app
        self.faults: deque[Reply] = deque()
        self.requests: list[Request] = []
        self.released = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.server.daemon_threads = True
        self.server.block_on_close = False
        if tls:
            self.server.socket = tls.wrap_socket(
                self.server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.server.server_port}"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> HttpReceiver:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()

    def answer(self, request: Request) -> Reply:
        self.requests.append(request)
        return self.faults.popleft() if self.faults else self.app(request)


def _handler(receiver: HttpReceiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:  # the client went away, or its TLS was no good
                self.close_connection = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            self._say(receiver.answer(Request(self.command, self.path, dict(self.headers.items()), body)))

        do_PUT = do_GET = do_POST

        def _say(self, reply: Reply) -> None:
            if reply.fault in ("hang", "drop"):
                if reply.fault == "hang":
                    receiver.released.wait(20)
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body) + (10 if reply.fault == "half" else 0)))
            self.end_headers()
            self.wfile.write(reply.body)
            self.close_connection = self.close_connection or reply.fault == "half"

        def log_message(self, *_arguments: Any) -> None:
            pass

    return Handler
