# SPDX-License-Identifier: Apache-2.0
"""A bounded memory of processes that forgets those first that have exited."""

from __future__ import annotations

from typing import Any


class Known:
    """A process as its exec told of it."""

    __slots__ = ("details", "full", "process")

    def __init__(self, process: dict[str, Any], details: dict[str, Any]) -> None:
        self.process = process
        self.details = details
        self.full: dict[str, Any] | None = None
        """The expanded process, once somebody asked for it."""


class Remembered:
    """Processes by exec_id. When there are too many, the one goes that was not used for the longest time,
    of those that have exited or, without such, of all."""

    def __init__(self, most: int) -> None:
        self._most = max(1, most)
        self._living: dict[str, Known] = {}
        self._exited: dict[str, Known] = {}

    def __len__(self) -> int:
        return len(self._living) + len(self._exited)

    def put(self, exec_id: str, known: Known) -> None:
        """Remembers a living process; what was known of it is replaced."""
        self._exited.pop(exec_id, None)
        self._living.pop(exec_id, None)
        self._living[exec_id] = known
        if len(self) > self._most:
            oldest = self._exited or self._living
            del oldest[next(iter(oldest))]

    def get(self, exec_id: str) -> Known | None:
        """None when it is not known or was forgotten."""
        for processes in (self._living, self._exited):
            known = processes.pop(exec_id, None)
            if known is not None:
                processes[exec_id] = known
                return known
        return None

    def exit(self, exec_id: str) -> None:
        """The process has exited; it is still known for a while."""
        known = self._living.pop(exec_id, None)
        if known is not None:
            self._exited[exec_id] = known

    def clear(self) -> None:
        """Forgets all."""
        self._living.clear()
        self._exited.clear()
