# SPDX-License-Identifier: Apache-2.0
"""The connections of the service, and the limits on each.

Whoever may open the socket is trusted to see events, not to be well-behaved: a client that says nothing,
talks without end, sends garbage or stops reading must not take anything from the others.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from google.protobuf.empty_pb2 import Empty
from grpclib.config import Configuration
from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError
from grpclib.protocol import H2Protocol
from grpclib.server import Server, Stream

FIRST_REQUEST_S = 10.0
"""How long a connection may be silent before its first request, in seconds."""
STUCK_S = 60.0
"""How long a client may leave sent bytes in the socket untouched, in seconds."""
SPARE_CONNECTIONS = 64
"""Connections beyond `max_clients`, for short calls and to tell who comes too many that it is one."""
MOST_UNSENT = 4 << 20
"""Bytes that may wait for one client; its own stream waits much earlier, so these are protocol replies."""
INBOUND_BURST = 4 << 20
"""Bytes that a client may send at once."""
INBOUND_PER_S = 1 << 18
"""Bytes per second that a client may send in the long run; requests are small and rare."""
WINDOW = 1 << 20
"""HTTP/2 flow-control window, in bytes: what a client may send before it is read."""
PING_S = 60.0
"""Interval of pings on a connection with a stream, in seconds; a dead client does not answer."""
LONGEST_PATH = 200
"""Characters of an unknown method's path that are told again."""


class Methods(dict[str, Handler]):
    """grpclib's table of methods; for what is not in it, one that refuses. grpclib's own refusal lacks the
    content type, without which other clients see a broken connection (gRPC over HTTP2: "Responses")."""

    def get(self, path: str, default: object = None) -> Handler:
        """Never the default."""
        return super().get(path) or Handler(_unknown(path), Cardinality.UNARY_UNARY, Empty, Empty)


def _unknown(path: str) -> Callable[[Stream[Any, Any]], Awaitable[None]]:
    async def refuse(stream: Stream[Any, Any]) -> None:
        raise GRPCError(Status.UNIMPLEMENTED, f"unknown method {path[:LONGEST_PATH]}")

    return refuse


class Guarded(H2Protocol):
    """One connection: grpclib's, with an eye on what the client does."""

    table: Connections
    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.began_s = self.moved_s = self.filled_s = time.monotonic()
        self.budget = float(INBOUND_BURST)
        self.asked = False
        self.unsent = 0
        super().connection_made(transport)
        self.table.add(self)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        self.budget = min(INBOUND_BURST, self.budget + (now - self.filled_s) * INBOUND_PER_S) - len(data)
        self.filled_s = now
        if self.budget < 0:
            self.transport.abort()
            return
        super().data_received(data)
        self.asked = self.asked or bool(self.streams)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.table.discard(self)
        super().connection_lost(exc)

    @property
    def streams(self) -> Collection[Any]:
        """Calls that are being served."""
        return self.processor.streams

    def is_hopeless(self, now: float) -> bool:
        """Whether the client has used up what patience there is."""
        if not self.asked:
            return now - self.began_s > FIRST_REQUEST_S
        unsent = self.transport.get_write_buffer_size()
        if unsent < self.unsent or unsent == 0:
            self.moved_s = now
        self.unsent = unsent
        return unsent > MOST_UNSENT or now - self.moved_s > STUCK_S


class Connections(Server):
    """grpclib's server with a bounded table of guarded connections."""

    def __init__(self, services: Collection[Any], max_clients: int) -> None:
        config = Configuration(
            http2_connection_window_size=WINDOW,
            http2_stream_window_size=WINDOW,
            _keepalive_time=PING_S,
            _http2_max_pings_without_data=0,
            _http2_min_sent_ping_interval_without_data=PING_S,
        )
        super().__init__(services, config=config)
        self._mapping = Methods(self._mapping)
        self.most = max_clients + SPARE_CONNECTIONS
        """How many connections there may be."""
        self.last_busy_s = time.monotonic()
        """When somebody was served last, monotonic seconds."""
        self._table: set[Guarded] = set()

    def _protocol_factory(self) -> Guarded:
        made = super()._protocol_factory()
        guarded = Guarded(made.handler, made.config, made.h2_config)
        guarded.table = self
        return guarded

    def made(self) -> Guarded:
        """The protocol of a connection that somebody else accepts."""
        return self._protocol_factory()

    def add(self, connection: Guarded) -> None:
        """A new one; when the table is full, the one that does the least has to go."""
        if len(self._table) >= self.most:
            idle = [one for one in self._table if not one.streams]
            leaves = min(idle, key=lambda one: (one.asked, one.began_s), default=connection)
            leaves.transport.abort()
            self._table.discard(leaves)
            if leaves is connection:
                return
        self._table.add(connection)

    def discard(self, connection: Guarded) -> None:
        """One has ended."""
        self._table.discard(connection)

    def sweep(self) -> None:
        """Ends hopeless connections; to be called about once a second."""
        now = time.monotonic()
        for connection in [one for one in self._table if one.is_hopeless(now)]:
            connection.transport.abort()
        if any(one.streams or not one.asked for one in self._table):
            self.last_busy_s = now

    async def end(self) -> None:
        """Accepts no more and drops everybody."""
        if self._server is not None:
            self.close()
        for connection in list(self._table):
            connection.transport.abort()
        await asyncio.sleep(0)
