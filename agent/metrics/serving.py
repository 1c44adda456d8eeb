# SPDX-License-Identifier: Apache-2.0
"""The life of the process: one thread serves pages, the other follows the log. It ends when the agent closes
the link."""

from __future__ import annotations

import select
import socket
import sys
import threading

from agent.api.child import LINK_FD, LISTEN_FD
from agent.api.privileges import drop
from agent.errors import LogUnavailable
from agent.metrics.board import Board
from agent.metrics.counting import Counting
from agent.metrics.link import Link
from agent.metrics.options import Options
from agent.metrics.web import Web

PERIOD_S = 0.5
"""How often the log is looked at, in seconds. Scrapes are seldom; the log keeps what waits."""


def run(argument: str) -> None:
    """Everything, with the options that the agent handed over."""
    options = Options.decode(argument)
    listening, link = socket.socket(fileno=LISTEN_FD), socket.socket(fileno=LINK_FD)
    drop(options.user, options.log_dir)
    serve(options, listening, link)


def serve(options: Options, listening: socket.socket, link: socket.socket) -> None:
    """Returns when the agent is gone."""
    counting = _counting(options)
    web = Web(listening, Board(options.log_dir, Link(link), counting))
    threading.Thread(target=web.serve_forever, name="pages", daemon=True).start()
    try:
        _follow(counting, link)
    finally:
        web.shutdown()
        web.server_close()
        if counting is not None:
            counting.close()


def _counting(options: Options) -> Counting | None:
    try:
        return Counting(options.log_dir, options.labels, options.max_series)
    except LogUnavailable as error:
        print(f"tracehound metrics: {error.message}; {error.hint}", file=sys.stderr)
        return None


def _follow(counting: Counting | None, link: socket.socket) -> None:
    """Counts until the link hangs up; its answers are another thread's."""
    poll = select.poll()
    poll.register(link.fileno(), 0)  # POLLHUP and POLLERR come unasked, poll(2)
    more = False
    while not poll.poll(0 if more else PERIOD_S * 1000):
        try:
            more = counting.catch_up() if counting is not None else False
        except OSError as error:  # the directory may come back
            print(f"tracehound metrics: the log cannot be read: {error.strerror}", file=sys.stderr)
            more = False
            poll.poll(60_000)
