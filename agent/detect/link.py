# SPDX-License-Identifier: Apache-2.0
"""The worker's end of the socket to the agent: one JSON object per line each way, never waited for.

To the agent: `{"kind","content","time"}` is a record for the log; `{"mark":n}` asks to be told when
everything before it stands there; `{"state":{…}}` is how the worker is. From the agent:
`{"configure":{…}}` names the rules, `{"mark":n}` answers, `{"stop":true}` asks to end after what there is.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import orjson

FULL_BYTES = 1 << 20
"""Bytes that the agent has not taken yet, above which nothing more is evaluated."""
_READ_BYTES = 1 << 16


class AgentGone(Exception):
    """The agent closed the link, or is no more."""


class Link:
    """Lines out and in."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self._outgoing = bytearray()
        self._incoming = b""
        self.marked = self.answered = 0
        """The last mark that was sent, and the last that came back."""

    @property
    def is_full(self) -> bool:
        """Whether the agent has to catch up first."""
        return len(self._outgoing) > FULL_BYTES

    @property
    def has_unsent(self) -> bool:
        """Whether something waits for room in the socket."""
        return bool(self._outgoing)

    def put(self, line: dict[str, Any]) -> None:
        """Goes with the next `flush`."""
        self._outgoing += orjson.dumps(line) + b"\n"

    def mark(self) -> int:
        """Asks for a word when everything so far stands in the log; returns the mark."""
        self.marked += 1
        self.put({"mark": self.marked})
        return self.marked

    def flush(self) -> None:
        """Sends what fits. Raises AgentGone."""
        try:
            while self._outgoing:
                del self._outgoing[: self.sock.send(self._outgoing)]
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            raise AgentGone(str(error)) from None

    def lines(self) -> Iterator[dict[str, Any]]:
        """What the agent said, answers to marks left out. Raises AgentGone."""
        while True:
            try:
                data = self.sock.recv(_READ_BYTES)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                raise AgentGone(str(error)) from None
            if not data:
                raise AgentGone("closed")
            *whole, self._incoming = (self._incoming + data).split(b"\n")
            for line in map(orjson.loads, whole):
                if "mark" in line:
                    self.answered = max(self.answered, line["mark"])
                else:
                    yield line
