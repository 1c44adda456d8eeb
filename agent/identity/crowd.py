# SPDX-License-Identifier: Apache-2.0
"""How many nodes write into the status of one object, and how much each may for that."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from agent.identity.access import NoAccess
from agent.identity.rest import Api, ApiError, Unreachable

LOOK_S = 600.0
"""How often nodes are counted, in seconds."""
EACH_S = 6.0
"""Seconds from one node's counts on an object to the next node's: what all write stays the same, in objects a
minute, however many they are."""
BURST_S = 0.05
"""The same where all nodes have something to say at once, as of a new policy."""
LONGEST_BURST_S = 60.0


class Crowd:
    """Nodes of the cluster."""

    def __init__(self, api: Api, clock: Callable[[], float] = time.monotonic) -> None:
        self._api, self._clock = api, clock
        self._looked: float | None = None
        self._count = 1
        self._factor = random.uniform(0.8, 1.2)

    def count(self) -> int:
        """As the API server says: a list tells how many it has left out (Kubernetes API reference, ListMeta,
        `remainingItemCount`)."""
        if self._looked is None or self._clock() - self._looked >= LOOK_S:
            self._looked = self._clock()
            try:
                page = self._api.get("/api/v1/nodes", {"limit": "1"})
                left = (page.get("metadata") or {}).get("remainingItemCount") or 0
                self._count = 1 + left if isinstance(left, int) else 1
            except (ApiError, Unreachable, NoAccess):
                pass  # it stays as it was; whoever writes will say what is wrong
        return self._count

    def pause_s(self, least: float) -> float:
        """Seconds between two of a node's counts."""
        between = self.count() * EACH_S
        return least if between <= least else between * self._factor

    def delay_s(self) -> float:
        """Seconds before what all nodes may have to say; never the same."""
        return random.uniform(0, min(self.count() * BURST_S, LONGEST_BURST_S))
