# SPDX-License-Identifier: Apache-2.0
"""Questions of the service to the agent: one JSON object per line each way, answered in order.

The service is the side that strangers talk to, so the agent trusts it with nothing: it reads a little at
a time, never waits, and hangs up when a line or the unread answers grow too long.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from typing import Any

import orjson

from agent.errors import TracehoundError

Answer = Callable[[dict[str, Any]], dict[str, Any]]

READ_BYTES = 4096
"""Most bytes taken per call, so that a flood of questions cannot hold up the agent's loop."""
LONGEST_LINE = 6 << 20
"""A longer question is an error. Policies (YAML) of up to 2 MiB arrive this way, as JSON: a line break takes
two bytes there, a control character six."""
MOST_UNSENT = 8 << 20
"""Bytes of answers that the service may leave unread."""


class HungUp(Exception):
    """The other side is gone, or broke the rules."""


class LineServer:
    """The agent's end of the socket pair."""

    def __init__(self, sock: socket.socket, answer: Answer) -> None:
        sock.setblocking(False)
        self.sock = sock
        self._answer = answer
        self._incoming = bytearray()
        self._outgoing = bytearray()

    @property
    def wants_to_write(self) -> bool:
        """Whether answers wait for room in the socket."""
        return bool(self._outgoing)

    def read(self) -> None:
        """Takes what has arrived and answers every whole line. Raises HungUp."""
        try:
            data = self.sock.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            raise HungUp(str(error)) from None
        if not data:
            raise HungUp("closed")
        self._incoming += data
        if b"\n" not in data and len(self._incoming) <= LONGEST_LINE:
            return
        *lines, rest = self._incoming.split(b"\n")
        if len(rest) > LONGEST_LINE:
            raise HungUp("a question is too long")
        self._incoming = rest
        for line in lines:
            self._outgoing += orjson.dumps(self._reply(bytes(line)), default=str) + b"\n"
        self.write()

    def write(self) -> None:
        """Sends what fits. Raises HungUp when too much is left."""
        try:
            while self._outgoing:
                del self._outgoing[: self.sock.send(self._outgoing)]
        except (BlockingIOError, InterruptedError):
            if len(self._outgoing) > MOST_UNSENT:
                raise HungUp("answers are not read") from None
        except OSError as error:
            raise HungUp(str(error)) from None

    def attend(self, poll: select.epoll, events: int) -> None:
        """After `poll` told of events: does what they ask for, and says what to wait for. Raises HungUp."""
        if events & select.EPOLLOUT:
            self.write()
        if events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
            self.read()
        poll.modify(self.sock.fileno(), select.EPOLLIN | (select.EPOLLOUT if self._outgoing else 0))

    def _reply(self, line: bytes) -> dict[str, Any]:
        """The answer, with the question's `id` when it has one."""
        try:
            question = orjson.loads(line)
        except orjson.JSONDecodeError:
            return {"error": "a question is one line of JSON"}
        if not isinstance(question, dict):
            return {"error": "a question is a JSON object"}
        number = question.pop("id", None)
        answer = self._answered(question)
        return answer if number is None else {**answer, "id": number}

    def _answered(self, question: dict[str, Any]) -> dict[str, Any]:
        """A question that cannot be answered is answered with `error`; it never ends the agent."""
        try:
            return self._answer(question)
        except TracehoundError as error:
            return {"error": error.message, "hint": error.hint}
        except Exception as error:
            return {"error": f"{type(error).__name__}: {error}"}
