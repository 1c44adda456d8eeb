# SPDX-License-Identifier: Apache-2.0
"""Counters by labels whose number is bounded, and of which a pod's go when the pod is gone."""

from __future__ import annotations

from collections.abc import Callable

from agent.metrics.family import COUNTER, Family

OTHER = "other"
"""Value of all free labels of what comes beyond the bound."""
POD_GONE_S = 60.0
"""How long a deleted pod's series stay, in seconds: the last scrape has to see them."""
POD_IDLE_S = 3600.0
"""A pod's series without an event for so long go as well, in seconds: its deletion may not have been told."""

Key = tuple[str, ...]


class Series:
    """One counter. `fixed` labels (the event's type, the policy) are bounded by themselves, the `free` ones
    are what strangers can choose."""

    def __init__(
        self, name: str, help: str, fixed: Key, free: Key, most: int, clock: Callable[[], float]
    ) -> None:
        self.name = name
        self._help, self._labels, self._fixed, self._most, self._clock = (
            help,
            fixed + free,
            len(fixed),
            most,
            clock,
        )
        self._counts: dict[Key, int] = {}
        self._changed_s: dict[Key, float] = {}
        self._rest: Key = (OTHER,) * len(free)
        self._gone: dict[tuple[str, str], float] = {}
        where = [self._labels.index(name) if name in free else None for name in ("namespace", "pod")]
        self._namespace, self._pod = where
        self.overflown = 0
        """How often the bound was met."""

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, key: Key, count: int = 1) -> None:
        """`key`: values of the fixed labels, then of the free ones."""
        if key not in self._counts and len(self._counts) >= self._most:
            self.overflown += 1
            key = key[: self._fixed] + self._rest
        self._counts[key] = self._counts.get(key, 0) + count
        if self._pod is not None:
            self._changed_s[key] = self._clock()

    def pod_gone(self, namespace: str, pod: str) -> None:
        """A pod was deleted; its series go in a minute."""
        if self._pod is not None:
            self._gone[namespace, pod] = self._clock() + POD_GONE_S

    def sweep(self) -> None:
        """Forgets what is due; every few seconds."""
        if self._pod is None:
            return
        now = self._clock()
        due = {place for place, at in self._gone.items() if at <= now}
        for place in due:
            del self._gone[place]
        self._forget([key for key in self._counts if self._is_due(key, due, now)])

    def family(self) -> Family:
        """As it is now."""
        samples = tuple((key, float(count)) for key, count in list(self._counts.items()))
        return Family(self.name, COUNTER, self._help, self._labels, samples)

    def _is_due(self, key: Key, due: set[tuple[str, str]], now: float) -> bool:
        assert self._pod is not None
        pod = key[self._pod]
        if not pod or key[self._fixed :] == self._rest:
            return False
        idle = now - self._changed_s[key] > POD_IDLE_S
        if self._namespace is None:
            return idle or any(pod == name for _, name in due)
        return idle or (key[self._namespace], pod) in due

    def _forget(self, keys: list[Key]) -> None:
        for key in keys:
            del self._counts[key], self._changed_s[key]
