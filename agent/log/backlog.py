# SPDX-License-Identifier: Apache-2.0
"""Lines that wait in memory while the disk refuses writes, and the account of those that did not fit."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from agent.log.records import Line

LINE_OVERHEAD = 160
"""Memory of a queued line beyond its bytes: a tuple, two bytes objects and their allocation, in bytes."""


class Backlog:
    """A bounded queue of lines without sequence numbers.

    When it is full, lines are dropped and counted until it is half empty again; then the line that
    `loss_line(count, from_ns, to_ns)` makes stands where the gap is. Times are wall-clock nanoseconds.
    """

    def __init__(self, limit_bytes: int, loss_line: Callable[[int, int, int], Line]) -> None:
        self.limit_bytes = limit_bytes
        self._loss_line = loss_line
        self._lines: deque[Line] = deque()
        self._gap: tuple[int, int, int] | None = None
        self.bytes = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def pending(self) -> bool:
        """Whether something has to be written before a new line may be."""
        return bool(self._lines) or self._gap is not None

    def put(self, lines: Sequence[Line], now_ns: int) -> int:
        """Queues as many of the lines as there is room for and returns that number."""
        if self._gap is not None and self.bytes <= self.limit_bytes // 2:
            self.close_gap()
        taken = 0
        if self._gap is None:
            for line in lines:
                if self.bytes + _cost(line) > self.limit_bytes:
                    break
                self._push(line)
                taken += 1
        self._drop(len(lines) - taken, now_ns)
        return taken

    def put_own(self, line: Line, now_ns: int) -> int:
        """Queues an own record, for which a sixteenth of the room is kept on top: a loss that is told by
        a record must not be forgotten because the queue is full of events. Returns 1 or 0."""
        if self.bytes + _cost(line) > self.limit_bytes + self.limit_bytes // 16:
            self._drop(1, now_ns)
            return 0
        self.close_gap()
        self._push(line)
        return 1

    def put_first(self, lines: Sequence[Line]) -> None:
        """Puts lines before all others, whatever the room: they tell of something that came before."""
        for line in reversed(lines):
            self._lines.appendleft(line)
            self.bytes += _cost(line)

    def close_gap(self) -> None:
        """Puts the record of what was dropped at the end of the queue."""
        if self._gap is not None:
            self._push(self._loss_line(*self._gap))
            self._gap = None

    def head(self, most: int) -> list[Line]:
        """The first lines, at most so many; they stay in the queue until `discard`."""
        return [line for line, _ in zip(self._lines, range(most), strict=False)]

    def discard(self, count: int) -> None:
        """Takes the first lines out of the queue: they are written."""
        for _ in range(count):
            self.bytes -= _cost(self._lines.popleft())

    def _push(self, line: Line) -> None:
        self._lines.append(line)
        self.bytes += _cost(line)

    def _drop(self, count: int, now_ns: int) -> None:
        if count <= 0:
            return
        self.dropped += count
        lost, since, _ = self._gap or (0, now_ns, now_ns)
        self._gap = lost + count, since, now_ns


def _cost(line: Line) -> int:
    return len(line[0]) + len(line[1]) + LINE_OVERHEAD
