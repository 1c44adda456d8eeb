# SPDX-License-Identifier: Apache-2.0
"""The service's end of the socket pair: questions to the agent (`agent.api.lines` answers them)."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
from typing import Any

ANSWER_S = 3.0
"""How long an answer may take, in seconds. The agent answers between two batches of events."""


class AgentSilent(Exception):
    """The agent did not answer in time, or is gone."""


class AgentLink:
    """Asks the agent. `gone` is set once the agent closed the link, which means that we must end."""

    def __init__(self, sock: socket.socket) -> None:
        self.gone = asyncio.Event()
        self._sock = sock
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._listener: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begins to listen for answers."""
        reader, self._writer = await asyncio.open_unix_connection(sock=self._sock, limit=16 << 20)
        self._listener = asyncio.create_task(self._listen(reader), name="agent link")

    async def ask(self, request: str, answer_s: float = 0, /, **details: Any) -> dict[str, Any]:
        """The agent's answer; it holds `error` when the agent could not do it. Raises AgentSilent.

        `answer_s`: how long it may take, in seconds, where that is more than ANSWER_S."""
        if self._writer is None or self.gone.is_set():
            raise AgentSilent
        number = next(self._numbers)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        self._writer.write(_line({"request": request, **details, "id": number}))
        try:
            async with asyncio.timeout(answer_s or ANSWER_S):
                return await answer
        except TimeoutError:
            raise AgentSilent from None
        finally:
            self._waiting.pop(number, None)

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        try:
            while line := await reader.readline():
                answer = json.loads(line)
                waiting = self._waiting.get(answer.pop("id", 0))
                if waiting and not waiting.done():
                    waiting.set_result(answer)
        except (OSError, ValueError):
            pass  # whatever it was, the link is of no use any more
        finally:
            self.gone.set()
            if self._writer is not None:
                self._writer.close()
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(AgentSilent())


def _line(question: dict[str, Any]) -> bytes:
    """UTF-8 as it is: escaped, a character takes six bytes. Halves of surrogates are left out."""
    return json.dumps(question, ensure_ascii=False).encode(errors="replace") + b"\n"
