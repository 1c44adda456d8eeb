# SPDX-License-Identifier: Apache-2.0
"""What was lost, where and when: counters of the kernel and of the pipeline become `loss` records."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Mapping
from typing import Protocol

from agent.log.clock import WallClock

RECENT_S = 60.0
LANES = {"chunk": "bulk", "flood": "bulk", "policy": "bulk"}
"""Lane by hook, up to a colon (`policy:tcp_connect`); everything else is life cycle."""


class Recorder(Protocol):
    """What is asked of the log's writer."""

    def record(self, kind: str, content: Mapping[str, object], /) -> None:
        """Writes an own record."""


class PipelineCounters(Protocol):
    """What is asked of the pipeline."""

    bad_records: int
    unknown_hooks: int

    @property
    def chunks_missing(self) -> int: ...


class LossLedger:
    """Turns growing counters into records of what was lost since the last look."""

    def __init__(self, log: Recorder, clock: WallClock) -> None:
        self._log = log
        self._clock = clock
        self._seen: Counter[tuple[str, str]] = Counter()
        self._looked_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        self.recent: dict[str, int] = {}
        """Losses by cause of the last minute."""
        self._noted: deque[tuple[float, str, int]] = deque()
        """When (monotonic seconds), why and how much, of the last minute."""

    def collect(
        self,
        kernel: Mapping[tuple[str, str], int],
        pipeline: PipelineCounters,
        now_ns: int | None = None,
        begin_ns: int | None = None,
    ) -> int:
        """Writes a `loss` record for each (cause, hook) that grew; returns the losses since last time.

        `begin_ns` and `now_ns`: before and after the counters were read, nanoseconds of the boot clock, which
        no clock step moves. What is lost between the two is of this record or of the next."""
        now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) if now_ns is None else now_ns
        totals = dict(kernel)
        if pipeline.bad_records:
            totals["bad_record", "ring"] = pipeline.bad_records
        if pipeline.unknown_hooks:
            totals["bad_record", "policy"] = pipeline.unknown_hooks
        if pipeline.chunks_missing:
            totals["chunk_missing", "exec"] = pipeline.chunks_missing
        lost = 0
        for (cause, hook), total in totals.items():
            grown = total - self._seen[cause, hook]
            if grown <= 0:
                continue
            self._seen[cause, hook] = total
            lost += grown
            self._note(cause, grown)
            self._log.record(
                "loss",
                {
                    "cause": cause,
                    "lane": _lane(hook),
                    "hook": hook,
                    "count": grown,
                    "from": self._clock.text(self._looked_ns),
                    "to": self._clock.text(now_ns),
                },
            )
        self._looked_ns = now_ns if begin_ns is None else begin_ns
        self._forget()
        return lost

    def told(self) -> list[dict[str, object]]:
        """All losses since start, by cause, lane and hook."""
        return [
            {"cause": cause, "lane": _lane(hook), "hook": hook, "count": total}
            for (cause, hook), total in self._seen.items()
        ]

    def by_cause(self) -> dict[str, int]:
        """All losses since start."""
        causes: Counter[str] = Counter()
        for (cause, _), total in self._seen.items():
            causes[cause] += total
        return dict(causes)

    def total(self) -> int:
        """Number of records lost since start, of all causes."""
        return sum(self._seen.values())

    def _note(self, cause: str, count: int) -> None:
        self.recent[cause] = self.recent.get(cause, 0) + count
        self._noted.append((time.monotonic(), cause, count))

    def _forget(self) -> None:
        long_ago = time.monotonic() - RECENT_S
        while self._noted and self._noted[0][0] <= long_ago:
            _, cause, count = self._noted.popleft()
            self.recent[cause] -= count
            if not self.recent[cause]:
                del self.recent[cause]


def _lane(hook: str) -> str:
    return LANES.get(hook.partition(":")[0], "lifecycle")
