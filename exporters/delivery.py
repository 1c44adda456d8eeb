# SPDX-License-Identifier: Apache-2.0
"""A batch on its way: sent until each of its documents has been answered for, whatever comes between.

Order is kept: nothing of a later batch is sent before. What the destination refuses for good goes to the
dead-letter file; while that cannot be written, the batch waits.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

from exporters.base import Destination, Document, ExporterUnavailable, OptionError, Sent, TryAgain
from exporters.deadletter import DeadLetters
from exporters.limits import Backoff
from exporters.patience import Hangs, Patience
from exporters.state import State

Open = Callable[[], Destination]
Wait = Callable[[float, str], None]
"""Waits some seconds in a state (`waiting`, `blocked`). Raises Stopped."""


class Delivery:
    """Sends batches to one destination, which is made anew when it fails in a way that it should not."""

    def __init__(
        self,
        open_: Open,
        patience: Patience,
        wait: Wait,
        state: State,
        letters: DeadLetters,
        backoff: Backoff,
        send_s: float,
    ) -> None:
        self._open, self._patience, self._wait, self._state = open_, patience, wait, state
        self._letters, self._backoff, self._send_s = letters, backoff, send_s
        self._destination: Destination | None = None
        self.shrunk_to = 0
        """Bytes of the last part that had to be made because a batch was too large; 0 for none."""

    def open(self) -> None:
        """Connects, or checks what can be checked. Raises OptionError, ExporterUnavailable, TryAgain."""
        with self._patience.within(self._send_s):
            self._destination = self._open()

    def close(self) -> None:
        """Lets go of the destination, for at most as long as a batch may take."""
        destination, self._destination = self._destination, None
        if destination is not None:
            try:
                with self._patience.within(self._send_s):
                    destination.close()
            except Hangs:
                self._state.fail("the connection could not be closed in time")

    def deliver(self, documents: Sequence[Document]) -> None:
        """Returns when every document has been answered for. Raises Stopped."""
        parts = deque([documents])
        while parts:
            part = parts.popleft()
            try:
                left = self._settle(part, self._send(part))
            except TryAgain as problem:
                if problem.smaller:
                    parts.extendleft(reversed(self._halves(part, problem.reason)))
                    continue
                self._rest(problem)
                left = list(part)
            if left:
                parts.appendleft(left)
            else:
                self._backoff.succeed()

    def _send(self, part: Sequence[Document]) -> Sent:
        """Raises TryAgain for whatever went wrong."""
        try:
            if self._destination is None:
                self.open()
            assert self._destination is not None
            with self._patience.within(self._send_s):
                return self._destination.send(part)
        except TryAgain:
            raise
        except Hangs:
            self._drop()
            raise TryAgain(f"no answer within {self._send_s:g} s") from None
        except (OptionError, ExporterUnavailable) as error:
            raise TryAgain(str(error), needs_operator=True) from None
        except Exception as error:  # whatever a client library raises: the batch is sent again
            self._drop()
            raise TryAgain(f"{type(error).__name__}: {error}") from error

    def _drop(self) -> None:
        """Closes a destination that is in an unknown state."""
        try:
            self.close()
        except Exception as error:
            self._state.fail(f"closing the connection: {type(error).__name__}: {error}")

    def _settle(self, part: Sequence[Document], sent: Sent) -> list[Document]:
        """Counts, writes dead letters, and returns what has to be sent again after a pause."""
        again = set(sent.again)
        refused = [(part[index], reason) for index, reason in sent.refused if index not in again]
        self._bury(refused)
        done = len(part) - len(again) - len(refused)
        self._state.sent += done
        if done:
            self._state.batches += 1
            self._state.last_sent = time.time()
            gone = again | {index for index, _ in sent.refused}
            self._state.bytes += sum(len(one.body) for index, one in enumerate(part) if index not in gone)
        left = [part[index] for index in sorted(again)]
        if left:
            if done:
                self._backoff.succeed()
            self._rest(TryAgain(f"{len(left)} of {len(part)} documents have to be sent again", sent.after_s))
        return left

    def _halves(self, part: Sequence[Document], reason: str) -> list[Sequence[Document]]:
        if len(part) == 1:
            self._bury([(part[0], reason)])
            return []
        self._state.fail(reason)
        self._state.retries += 1
        middle = len(part) // 2
        self.shrunk_to = sum(len(one.body) for one in part[:middle])
        return [part[:middle], part[middle:]]

    def _bury(self, refused: Sequence[tuple[Document, str]]) -> None:
        """Dead letters are written before the cursor moves; a full disk is waited for."""
        if not refused:
            return
        self._state.fail(f"refused: {refused[0][1]}")
        backoff = Backoff(0.5, 10)
        while True:
            try:
                self._letters.write(refused, time.time_ns())
                break
            except OSError as error:
                self._state.fail(f"the dead letters cannot be written: {error}")
                self._wait(backoff.next(), "blocked")
        self._state.refused += len(refused)

    def _rest(self, problem: TryAgain) -> None:
        self._state.fail(problem.reason)
        self._state.retries += 1
        seconds = self._backoff.next(problem.after_s, longest=problem.needs_operator)
        self._wait(seconds, "blocked" if problem.needs_operator else "waiting")
