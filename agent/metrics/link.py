# SPDX-License-Identifier: Apache-2.0
"""Questions to the agent, from whichever thread a client is served by (`agent.api.lines` answers them)."""

from __future__ import annotations

import socket
import time
from threading import Lock
from typing import Any

import orjson

ANSWER_S = 3.0
"""How long an answer may take, in seconds. The agent answers between two batches of events."""
_READ_BYTES = 1 << 16


class Link:
    """One question at a time. An answer that comes too late is passed over: questions are numbered."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._lock = Lock()
        self._number = 0
        self._incoming = b""

    def ask(self, request: str) -> dict[str, Any] | None:
        """The answer; None when none comes in time, or it is a refusal."""
        with self._lock:
            self._number += 1
            try:
                self._sock.settimeout(ANSWER_S)
                self._sock.sendall(orjson.dumps({"request": request, "id": self._number}) + b"\n")
                answer = self._answer(time.monotonic() + ANSWER_S)
            except (OSError, ValueError):
                return None
        return None if answer is None or "error" in answer else answer

    def _answer(self, until_s: float) -> dict[str, Any] | None:
        """Raises OSError when the agent is gone, or silent."""
        while True:
            line, newline, rest = self._incoming.partition(b"\n")
            if newline:
                self._incoming = rest
                answer: dict[str, Any] = orjson.loads(line)
                if answer.pop("id", 0) == self._number:
                    return answer
                continue
            self._sock.settimeout(max(0.001, until_s - time.monotonic()))
            data = self._sock.recv(_READ_BYTES)
            if not data:
                raise ConnectionError
            self._incoming += data
