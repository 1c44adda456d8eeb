# SPDX-License-Identifier: Apache-2.0
"""The pages over HTTP: `/metrics`, `/healthz`, `/readyz`. A thread per connection, few at a time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from agent.metrics.board import Board
from agent.metrics.exposition import MISSING, is_possible, write
from agent.metrics.probes import Finding, is_alive, is_ready, lines

PATIENCE_S = 5.0
"""How long a client may be silent, in seconds."""
MOST_CONNECTIONS = 16
"""Connections at once; one more ends the oldest, so that nobody keeps a probe out."""

Page = tuple[int, bytes, str]
_TEXT = "text/plain; charset=utf-8"
_INDEX = b"/metrics   for Prometheus\n/healthz   is the agent alive?\n/readyz    does it do its work?\n"


class Web(ThreadingHTTPServer):
    """Serves a socket that listens already."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, listening: socket.socket, board: Board) -> None:
        super().__init__(listening.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.board = board
        self._open: dict[Any, None] = {}
        self._lock = threading.Lock()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Begins a thread for a connection."""
        with self._lock:
            if len(self._open) >= MOST_CONNECTIONS:
                oldest = next(iter(self._open))
                del self._open[oldest]
                with suppress(OSError):
                    oldest.shutdown(socket.SHUT_RDWR)
            self._open[request] = None
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """A connection has ended."""
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is its own affair."""


class _Handler(BaseHTTPRequestHandler):
    server: Web
    timeout = PATIENCE_S
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "tracehound", ""

    def do_GET(self) -> None:
        """One of the pages."""
        page = _PAGES.get(self.path.partition("?")[0])
        status, body, kind = page(self) if page else (404, b"there is no such page; / lists all\n", _TEXT)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, format: str, *arguments: Any) -> None:
        """Every scrape a line is no use to anybody."""


def _metrics(handler: _Handler) -> Page:
    if not is_possible():
        return 501, f"{MISSING}\n".encode(), _TEXT
    body, kind = write(handler.server.board.families(), handler.headers.get("Accept", ""))
    return 200, body, kind


def _probe(passes: Callable[[list[Finding]], bool]) -> Callable[[_Handler], Page]:
    def page(handler: _Handler) -> Page:
        findings = handler.server.board.findings()
        body = "".join(f"{line}\n" for line in lines(findings))
        return 200 if passes(findings) else 503, body.encode(errors="replace"), _TEXT

    return page


_PAGES: dict[str, Callable[[_Handler], Page]] = {
    "/": lambda _: (200, _INDEX, _TEXT),
    "/metrics": _metrics,
    "/healthz": _probe(is_alive),
    "/livez": _probe(is_alive),
    "/readyz": _probe(is_ready),
}
