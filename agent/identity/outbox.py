# SPDX-License-Identifier: Apache-2.0
"""Messages for the agent. Of one thing only the last one waits: an agent that reads slowly costs bounded
memory and gets what counts."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import orjson


class Outbox:
    """Filled by all threads, emptied by one."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        """`write` may block; OSError means that the agent is gone."""
        self._write = write
        self._waiting: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._wake = threading.Condition()
        self._is_over = False

    def put(self, key: str, message: dict[str, Any], at_once: bool = False) -> None:
        """`key` names the thing; a message about it that waits is replaced. `at_once`: before all others."""
        with self._wake:
            self._waiting[key] = message
            if at_once:
                self._waiting.move_to_end(key, last=False)
            self._wake.notify()

    def run(self) -> None:
        """Until stopped, or the agent is gone."""
        while (message := self._next()) is not None:
            try:
                self._write(orjson.dumps(message) + b"\n")
            except OSError:
                return

    def stop(self) -> None:
        """Ends `run`."""
        with self._wake:
            self._is_over = True
            self._wake.notify()

    def _next(self) -> dict[str, Any] | None:
        with self._wake:
            while not self._waiting and not self._is_over:
                self._wake.wait()
            return None if self._is_over else self._waiting.popitem(last=False)[1]
