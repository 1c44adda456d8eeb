# SPDX-License-Identifier: Apache-2.0
"""All event streams of the service: their number, what they share, and the loop of each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from grpclib.const import Status
from grpclib.exceptions import GRPCError
from grpclib.server import Stream

from agent.api.expansion import Expansion
from agent.api.feed import Encoded, Feed, Wish
from agent.api.filters.timelimit import TooSlow
from agent.api.head import Head
from agent.api.nodelabels import NodeLabels
from agent.api.options import Options
from agent.api.rate import TOLD_S
from agent.api.wire import send_frames
from agent.errors import LogUnavailable

HELD_S = 0.1
"""How often is looked whether events have waited long enough for their pod, in seconds."""
LONG_BATCH_S = 0.01
"""A stream whose batch took longer than this rests as long as it worked, in seconds."""


class Streams:
    """Serves `GetEvents`. What streams share exists only while there are streams."""

    def __init__(self, options: Options, labels: NodeLabels) -> None:
        self.open = 0
        """Streams that are being served."""
        self._options = options
        self._labels = labels
        self._encoded = Encoded()
        self._head: Head | None = None
        self._watches: list[asyncio.Task[None]] = []
        self._expansion: Expansion | None = None
        self._expanding = 0

    async def serve(self, stream: Stream[Any, Any], wish: Wish) -> None:
        """Sends events until the client leaves. Raises GRPCError."""
        if self.open >= self._options.max_clients:
            raise GRPCError(
                Status.RESOURCE_EXHAUSTED,
                f"{self.open} event streams are being served, which is all that api.max_clients allows",
            )
        self.open += 1
        try:
            async with self._shared_head() as head, self._shared_expansion(wish) as expansion:
                options = self._options
                feed = Feed(
                    head, options.log_dir, wish, self._encoded, expansion, options.hold_s, self._labels
                )
                await self._run(stream, feed)
        except LogUnavailable as error:
            raise GRPCError(Status.UNAVAILABLE, f"{error.message}; {error.hint}") from None
        except OSError as error:
            raise GRPCError(Status.UNAVAILABLE, f"the log cannot be read: {error.strerror}") from None
        except TooSlow as error:
            raise GRPCError(Status.INVALID_ARGUMENT, f"{error}; simplify the filters") from None
        finally:
            self.open -= 1

    async def _run(self, stream: Stream[Any, Any], feed: Feed) -> None:
        try:
            await stream.send_initial_metadata()
            assert self._head is not None
            while True:
                began = time.perf_counter()
                frames = feed.next_frames(self._options.client_queue_events)
                took = time.perf_counter() - began
                if frames:
                    await send_frames(stream, frames)
                await asyncio.sleep(took if took > LONG_BATCH_S else 0)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_patience(feed)):
                        await self._head.wait(feed.cursor)
        finally:
            feed.close()

    @asynccontextmanager
    async def _shared_head(self) -> AsyncIterator[Head]:
        if self._head is None:
            self._head = Head(self._options.log_dir)
            self._watches = [
                asyncio.create_task(self._head.watch(), name="end of the log"),
                asyncio.create_task(self._labels.watch(), name="labels of the node"),
            ]
        try:
            if self.open == 1:
                await self._labels.look()
            yield self._head
        finally:
            if self.open == 1 and self._head is not None:
                for watch in self._watches:
                    watch.cancel()
                self._head.close()
                self._head, self._watches, self._encoded = None, [], Encoded()

    @asynccontextmanager
    async def _shared_expansion(self, wish: Wish) -> AsyncIterator[Expansion | None]:
        if not wish.needs_expansion:
            yield None
            return
        if self._expansion is None:
            self._expansion = Expansion(self._options.log_dir, self._options.agent_started_ms)
        self._expanding += 1
        try:
            await self._expansion.prepare()
            yield self._expansion
        finally:
            self._expanding -= 1
            if self._expanding == 0:
                self._expansion.close()
                self._expansion = None


def _patience(feed: Feed) -> float | None:
    """After how long a feed is looked at although nothing new has come, in seconds."""
    if feed.is_holding:
        return HELD_S
    return TOLD_S if feed.owes else None
