# SPDX-License-Identifier: Apache-2.0
"""A limit on what the service writes to the agent's standard error: strangers can provoke messages."""

from __future__ import annotations

import logging
import time

MOST = 20
"""Messages per minute; more are counted and dropped."""


class Quiet(logging.Filter):
    """Lets a few messages a minute pass; the first one after a pause tells how many were dropped."""

    def __init__(self, most: int = MOST) -> None:
        super().__init__()
        self._most = most
        self._minute = 0
        self._passed = 0
        self._dropped = 0

    def filter(self, record: logging.LogRecord) -> bool:
        minute = int(time.monotonic() // 60)
        if minute != self._minute:
            self._minute, self._passed = minute, 0
        self._passed += 1
        if self._passed > self._most:
            self._dropped += 1
            return False
        if self._dropped:
            record.msg = f"({self._dropped} messages dropped) {record.msg}"
            self._dropped = 0
        return True
