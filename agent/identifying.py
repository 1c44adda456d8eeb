# SPDX-License-Identifier: Apache-2.0
"""The agent's side of the child process that knows who a container is (`python -m agent.identity`,
docs/containers.md): it is started when it is needed, asked, listened to, and started again when it dies or
hangs. Nothing here waits, and nothing raises: what goes wrong is a notice and shows in the state.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from agent.children import LineChild

FIRST_PAUSE_S = 0.2
"""Pause before a child that died is started again, in seconds; it doubles up to the longest."""
LONGEST_PAUSE_S = 30.0
STEADY_S = 30.0
"""A child that lived so long before it died does not count as failing again and again, in seconds."""
SILENT_S = 60.0
"""A child that says nothing for so long hangs, in seconds; it tells its health every five."""
READ_BYTES = 1 << 18
"""Most bytes taken per call, so that a flood of answers cannot hold up the agent's loop."""
LONGEST_LINE = 64 << 20
"""A longer line is no message. The whole set of policies comes in one."""
MOST_UNSENT = 8 << 20
"""Bytes that may wait for a child that does not read; beyond, it is started anew, and everything is asked
again."""
MOST_NONSENSE = 100
"""Messages that are none, after which a child is started anew: its notices would fill the journal."""

Take = Callable[[Mapping[str, Any]], None]
"""Gets the content of a message."""


class Identifying:
    """The child. For an epoll loop: register `filenos()` for reading and call `handle` when one is ready."""

    def __init__(
        self,
        options: Callable[[], str],
        takers: Mapping[str, Take],
        started: Callable[[], None],
        notice: Callable[[str], None],
        command: Sequence[str] = ("-m", "agent.identity"),
    ) -> None:
        """`options` is its argument, made at each start; `takers` get its messages by their one key;
        `started` is called when there is a new child, which knows nothing; `command`: what Python runs."""
        self._options, self._takers, self._started, self._notice = options, takers, started, notice
        self._command = command
        self._poll = select.epoll()
        self._child: _Child | None = None
        self._wanted = False
        self._failures, self._due_s = 0, 0.0
        self.health: dict[str, Any] = {}
        """What it says of its sources (message `health`)."""
        self.starts = 0
        """How often it was started."""

    def filenos(self) -> list[int]:
        """One descriptor that stays the same for life."""
        return [self._poll.fileno()]

    @property
    def is_running(self) -> bool:
        """Whether there is a child."""
        return self._child is not None

    def want(self) -> None:
        """There is something to know: the child is started, now or when its pause is over."""
        if not self._wanted:
            self._wanted = True
            self.tick(time.monotonic())

    def say(self, message: Mapping[str, Any]) -> None:
        """A message for the child. Without one it is lost: a new one is told everything."""
        child = self._child
        if child is not None and child.say(message) > MOST_UNSENT:
            self._notice("containers: the process that looks them up does not read, it is started anew")
            child.kill()

    def handle(self, _fd: int = -1) -> None:
        """Takes what it said."""
        for fd, _ in self._poll.poll(0):
            child = self._child
            if child is None:
                return
            if fd == child.pidfd:
                self._ended(time.monotonic())
            elif fd == child.sock.fileno():
                self._listen(child)

    def tick(self, now: float) -> None:
        """Looks after the child; `now` is monotonic seconds."""
        child = self._child
        if child is None:
            if self._wanted and now >= self._due_s:
                self._start(now)
            return
        child.flush()
        if child.reap() is not None:
            self._ended(now)
        elif now - child.heard_s > SILENT_S:
            self._notice(
                f"containers: the process that looks them up was silent for {SILENT_S:.0f} s, it is ended"
            )
            child.heard_s = now
            child.kill()

    def problems(self) -> Iterator[str]:
        """A sentence for each thing that does not work; for health."""
        if self._wanted and self._child is None:
            yield "containers: the process that looks them up does not run"
        for name, told in self.health.items():
            if isinstance(told, dict) and told.get("state") == "stale":
                yield f"containers: {name} does not answer" + _because(told.get("error"))

    def state(self) -> dict[str, Any]:
        """For the agent's status."""
        return {
            "running": self._child is not None,
            "pid": self._child.pid if self._child else 0,
            "starts": self.starts,
            "sources": self.health,
        }

    def close(self) -> None:
        """Ends the child at once: it has nothing to lose."""
        self._wanted = False
        if self._child is not None:
            self._child.kill()
            self._child.reap(wait=True)
            self._forget()
        if not self._poll.closed:
            self._poll.close()

    def _start(self, now: float) -> None:
        try:
            self._child = child = _Child([*self._command, self._options()])
        except OSError as error:
            self._fail(now)
            self._notice(f"containers: they cannot be looked up: {error.strerror}")
            return
        self.starts += 1
        self._poll.register(child.sock, select.EPOLLIN)
        self._poll.register(child.pidfd, select.EPOLLIN)
        self._started()

    def _fail(self, now: float) -> None:
        self._failures += 1
        self._due_s = now + min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self._failures - 1, 20))

    def _ended(self, now: float) -> None:
        child = self._child
        status = child.reap() if child is not None else None
        if child is None or status is None:
            return
        self._listen(child)
        self._forget()
        if now - child.started_s > STEADY_S:
            self._failures = 0
        self._fail(now)
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        if self._wanted:
            self._notice(f"containers: the process that looks them up {how}; it is started again")

    def _forget(self) -> None:
        child, self._child = self._child, None
        self.health = {}
        if child is not None:
            child.close()  # a closed descriptor leaves the epoll set by itself

    def _listen(self, child: _Child) -> None:
        for line in child.lines():
            self._take(child, line)

    def _take(self, child: _Child, line: bytes) -> None:
        child.heard_s = time.monotonic()
        try:
            message = orjson.loads(line)
            name, content = next(iter(message.items()))
            if name == "health":
                self.health = _sources(content)
            elif name in self._takers:
                self._takers[name](content)
        except (ValueError, TypeError, AttributeError, KeyError, StopIteration) as error:
            child.nonsense += 1
            if child.nonsense <= MOST_NONSENSE:
                self._notice(f"containers: a message that is none: {type(error).__name__}: {error}")
            else:
                child.kill()


class _Child(LineChild):
    """One process."""

    def __init__(self, arguments: Sequence[str]) -> None:
        """Raises OSError."""
        super().__init__(arguments, 0, {}, read_bytes=READ_BYTES, longest_line=LONGEST_LINE)
        self.nonsense = 0
        """Messages that were none."""


def _sources(content: Mapping[str, Any]) -> dict[str, Any]:
    """The message `health` in the types that the status and metrics expect. Raises what _take catches."""
    return {str(name): _source(one) for name, one in content.items()}


def _source(one: Mapping[str, Any]) -> dict[str, Any]:
    told = {"state": str(one["state"]), "age_seconds": float(one["age_seconds"])}
    counts = {str(what): int(number) for what, number in (one.get("counts") or {}).items()}
    return {**told, "error": str(one.get("error") or ""), **({"counts": counts} if counts else {})}


def _because(text: object) -> str:
    return f": {text}" if text else ""
