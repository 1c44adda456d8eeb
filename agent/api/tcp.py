# SPDX-License-Identifier: Apache-2.0
"""The service over TCP: connections are accepted here, shaken hands with, and handed to the others' table."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

from agent.api.certificates import context
from agent.api.link import AgentLink, AgentSilent
from agent.api.options import Options

log = logging.getLogger(__name__)

MOST_GREETING = 64
"""Connections whose handshake is under way; one more ends the oldest, for an honest one takes
milliseconds."""
GREETING_S = 5.0
"""How long a handshake may take, in seconds."""
AGAIN_S = 1.0
"""How soon certificates are asked for again while there are none, in seconds: nobody is let in without."""
BREATH_S = 0.5
"""Pause when no connection can be accepted (no file descriptors), in seconds."""


class Tcp:
    """One listening socket. Without TLS whoever connects is one of this machine's users, and may only
    read."""

    def __init__(
        self,
        sock: socket.socket,
        made: Callable[[], asyncio.BaseProtocol],
        agent: AgentLink,
        options: Options,
    ) -> None:
        """`made` makes the protocol of a connection; of the options `tls` and `renew_s` are looked at."""
        self._sock, self._made, self._agent = sock, made, agent
        self._tls, self._renew_s = options.tls, options.renew_s
        self._context: ssl.SSLContext | None = None
        self._stamp = ""
        self._greeting: dict[asyncio.Task[None], None] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begins to accept."""
        if self._tls:
            await self._renew()
            self._tasks.append(asyncio.create_task(self._keep_renewing(), name="certificates"))
        self._tasks.append(asyncio.create_task(self._accept(), name="TCP"))

    def end(self) -> None:
        """Accepts no more."""
        for task in (*self._tasks, *self._greeting):
            task.cancel()
        self._sock.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(self._sock)
            except OSError:
                await asyncio.sleep(BREATH_S)
                continue
            if len(self._greeting) >= MOST_GREETING:
                next(iter(self._greeting)).cancel()
            task = asyncio.create_task(self._greet(accepted), name="handshake")
            self._greeting[task] = None
            task.add_done_callback(lambda done: self._greeting.pop(done, None))

    async def _greet(self, accepted: socket.socket) -> None:
        """What goes wrong in a handshake is the client's own affair."""
        if self._tls and self._context is None:
            accepted.close()
            return
        loop = asyncio.get_running_loop()
        timeout = GREETING_S if self._tls else None
        try:
            with suppress(OSError, TimeoutError):
                await loop.connect_accepted_socket(
                    self._made, accepted, ssl=self._context, ssl_handshake_timeout=timeout
                )
        except asyncio.CancelledError:
            accepted.close()
            raise

    async def _keep_renewing(self) -> None:
        while True:
            await asyncio.sleep(self._renew_s if self._context else min(AGAIN_S, self._renew_s))
            await self._renew()

    async def _renew(self) -> None:
        """New certificates count for connections from now on; with bad ones the former stay."""
        try:
            told = await self._agent.ask("certificates", stamp=self._stamp)
            if told.get("unchanged"):
                return
            if "error" in told:
                raise ValueError(told["error"])
            self._context = context(told)
            self._stamp = told["stamp"]
        except AgentSilent:
            log.warning("the agent did not tell the certificates")
        except (OSError, ValueError) as error:
            log.warning("certificates that cannot be used, the former ones stay: %s", error)
