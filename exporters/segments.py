# SPDX-License-Identifier: Apache-2.0
"""Running a destination that takes files of the log directory over as they are (`SegmentDestination`)."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from agent.log.entry import Cursor
from exporters.base import SegmentDestination, Taken, TryAgain
from exporters.cursor import Place
from exporters.limits import Backoff
from exporters.patience import Hangs

if TYPE_CHECKING:
    from exporters.runner import Runner


class SegmentRun:
    """The loop: one step after the other, with back-off between failures."""

    def __init__(self, runner: Runner, open_segments: Any, backoff: Backoff) -> None:
        self._runner, self._backoff = runner, backoff
        self._destination: SegmentDestination = open_segments(runner.context(), str(runner.log_dir))

    def run(self, until_idle: bool) -> None:
        """Until it is stopped, or until there is nothing more to take over now. Raises Stopped."""
        runner = self._runner
        while True:
            runner.tick()
            taken = self._take()
            if taken is not None:
                self._note(taken)
                if until_idle and not taken.more:
                    return
            runner.wait(0 if taken and taken.more else runner.config.batching.seconds, "running")

    def close(self) -> None:
        """Lets go of the destination."""
        with contextlib.suppress(Exception):
            self._destination.close()

    def _take(self) -> Taken | None:
        """None after a failure, when the pause is over."""
        state = self._runner.state
        try:
            with self._runner.within():
                taken = self._destination.take()
        except TryAgain as problem:
            failure = problem
        except Hangs:
            self.close()
            failure = TryAgain(f"no answer within {self._runner.config.common.send_seconds:g} s")
        except Exception as error:  # whatever a client library raises: the step is repeated
            failure = TryAgain(f"{type(error).__name__}: {error}")
        else:
            self._backoff.succeed()
            return taken
        state.fail(failure.reason)
        state.retries += 1
        pause = self._backoff.next(failure.after_s, longest=failure.needs_operator)
        self._runner.wait(pause, "blocked" if failure.needs_operator else "waiting")
        return None

    def _note(self, taken: Taken) -> None:
        state = self._runner.state
        state.state = "running"
        if taken.events:
            state.sent += taken.events
            state.batches += 1
            state.last_sent = time.time()
        with contextlib.suppress(ValueError):
            if taken.cursor:
                self._runner.save_place(Place(Cursor.parse(taken.cursor), ""))
