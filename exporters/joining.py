# SPDX-License-Identifier: Apache-2.0
"""Late answers about containers: events whose pod is not known yet wait for it, for at most `hold_seconds`
(agent.log.joining says how)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from agent.log.entry import Entry
from agent.log.joining import Joining, Waiting
from agent.log.tail import Chunk

__all__ = ["JoinedSource", "Joining"]

Item = Chunk | Entry


class _Source(Protocol):
    """exporters.source.Source."""

    def chunks(self) -> Iterator[Item]:
        """What there is now."""

    def close(self) -> None:
        """Closes what is open."""


class JoinedSource:
    """A source that holds back what waits for its pod. The place in the log that an exporter has reached is
    that of what came out of here, so nothing that waits is lost with the process."""

    def __init__(self, source: _Source, joining: Joining) -> None:
        self._source = source
        self._items: Iterator[Item] = iter(())
        lines: Callable[[Item], list[bytes]] = lambda item: item.lines if isinstance(item, Chunk) else []  # noqa: E731
        self._waiting: Waiting[Item] = Waiting(joining, lines)

    @property
    def is_holding(self) -> bool:
        """Whether something waits, so that the end of what there is now is not the end."""
        return len(self._waiting) > 0

    def chunks(self) -> Iterator[Item]:
        """What need not wait any more; call it again for what has come since. Raises OSError."""
        while self._read():
            while (piece := self._waiting.due(at_end=False)) is not None:
                yield piece
        while (piece := self._waiting.due(at_end=True)) is not None:
            yield piece

    def close(self) -> None:
        """Closes the open segment."""
        self._source.close()

    def _read(self) -> bool:
        """The next piece of the log; False when there is none now."""
        item = next(self._items, None)
        if item is None:
            self._items = self._source.chunks()
            item = next(self._items, None)
        if item is None:
            return False
        self._waiting.add(item)
        return True
