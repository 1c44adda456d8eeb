# SPDX-License-Identifier: Apache-2.0
"""The life of the service's process.

It inherits the listening socket and one end of a socket pair. It ends when nobody has been served for a
while, or when the agent closes the link.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
import time

from agent.api.child import LINK_FD, LISTEN_FD, TCP_FD
from agent.api.connections import Connections
from agent.api.feed import FILTER_LIMIT
from agent.api.levels import set_level
from agent.api.link import AgentLink
from agent.api.listening import BACKLOG
from agent.api.nodelabels import NodeLabels
from agent.api.options import Options
from agent.api.privileges import drop
from agent.api.quiet import Quiet
from agent.api.service import Control, Observing
from agent.api.standard import health, reflection
from agent.api.streams import Streams
from agent.api.tcp import Tcp

log = logging.getLogger("agent.api")

SWEEP_S = 1.0
"""How often connections are looked at, in seconds."""


async def serve(
    options: Options, listening: socket.socket | None, link: socket.socket, tcp: socket.socket | None = None
) -> None:
    """Serves until idle for long enough, or the agent is gone."""
    agent = AgentLink(link)
    await agent.open()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_report)
    loop.add_signal_handler(signal.SIGTERM, agent.gone.set)
    streams = Streams(options, NodeLabels(agent))
    observing = Observing(agent, streams, options.deny_namespaces)
    services = [observing, Control(agent)]
    services.append(health(observing.verdict, services))
    connections = Connections([*services, *reflection(services)], options.max_clients)
    over_tcp = Tcp(tcp, connections.made, agent, options) if tcp else None
    try:
        if listening:
            await connections.start(sock=listening, backlog=BACKLOG)
        if over_tcp:
            await over_tcp.start()
        await _until_idle(connections, agent, options.idle_s)
    finally:
        if over_tcp:
            over_tcp.end()
        await connections.end()


async def _until_idle(connections: Connections, agent: AgentLink, idle_s: float) -> None:
    while not agent.gone.is_set():
        try:
            async with asyncio.timeout(min(SWEEP_S, idle_s / 4)):
                await agent.gone.wait()
        except TimeoutError:
            connections.sweep()
            if time.monotonic() - connections.last_busy_s > idle_s:
                return


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """What a connection's own error was; asyncio has ended that connection."""
    log.info("%s: %r", context.get("message"), context.get("exception"))


def run(argument: str) -> None:
    """Everything, with the options that the agent handed over."""
    options = Options.decode(argument)
    logging.basicConfig(format="tracehound api: %(message)s", level=logging.WARNING, stream=sys.stderr)
    logging.getLogger().handlers[0].addFilter(Quiet())
    logging.getLogger("hpack").setLevel(logging.WARNING)  # tells every header of every request
    set_level(options.log_level)
    listening = _inherit(LISTEN_FD) if options.unix else None
    tcp = _inherit(TCP_FD) if options.tcp else None
    link = _inherit(LINK_FD)
    log.info("serving as %s", drop(options.user, options.log_dir))
    FILTER_LIMIT.install()
    asyncio.run(serve(options, listening, link, tcp))


def _inherit(fd: int) -> socket.socket:
    inherited = socket.socket(fileno=fd)
    inherited.setblocking(False)
    inherited.set_inheritable(False)
    return inherited
