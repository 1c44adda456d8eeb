# SPDX-License-Identifier: Apache-2.0
"""The agent's side of metrics: it binds the address, keeps the child process running, and answers what that
asks.

Nothing here waits. The child is started again when it dies; probes fail until it is back.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent.api.addresses import bind
from agent.api.child import LINK_FD, LISTEN_FD, Child
from agent.api.lines import Answer, HungUp, LineServer
from agent.metrics.exposition import MISSING, is_possible
from agent.metrics.options import Options
from agent.settings import MetricsSettings

MODULE = "agent.metrics.server"
GRACE_S = 2.0
"""How long it may take to end when the agent stops, in seconds."""
FIRST_PAUSE_S = 0.5
"""Pause before it is started again, in seconds; it doubles up to the longest."""
LONGEST_PAUSE_S = 30.0
STEADY_S = 60.0
"""A process that lived this long before it failed does not count as failing again and again, in seconds."""
_ANSWERED = frozenset({"status", "policies", "version"})
"""What it may ask; it talks to strangers."""


class Metering:
    """For an epoll loop: register `filenos()` once for reading, call `handle(fd)` when one is ready and
    `tick()` about once a second."""

    def __init__(
        self,
        settings: MetricsSettings,
        log_dir: str,
        user: str,
        answer: Answer,
        notice: Callable[[str], None],
    ) -> None:
        """Binds. Raises SettingsError, PermissionMissing, AlreadyRunning."""
        self._answer, self._notice = answer, notice
        self._options = Options(str(Path(log_dir).absolute()), user, settings.labels, settings.max_series)
        self._listening = bind(settings.listen, "metrics.listen")
        self._poll = select.epoll()
        self._child: Child | None = None
        self._link: LineServer | None = None
        self._failures, self._due_s = 0, 0.0
        self.starts = 0
        """How often the process was started."""
        if not is_possible():
            notice(f"{MISSING}; probes are served")

    @property
    def address(self) -> tuple[str, int]:
        """Host and port where it listens."""
        host, port = self._listening.getsockname()[:2]
        return host, port

    @property
    def pid(self) -> int:
        """Of the process; 0 while none runs."""
        return self._child.pid if self._child else 0

    def filenos(self) -> list[int]:
        """One descriptor that stays the same for life."""
        return [self._poll.fileno()]

    def handle(self, _fd: int = -1) -> None:
        """Answers, and takes notice when the process has ended."""
        for ready, events in self._poll.poll(0):
            if self._link and ready == self._link.sock.fileno():
                self._serve(self._link, events)
            elif self._child and ready == self._child.pidfd:
                self._ended(self._child)

    def tick(self) -> None:
        """Starts the process when it is due."""
        if self._child is None and time.monotonic() >= self._due_s:
            self._start()

    def close(self) -> None:
        """Ends it, within `GRACE_S` seconds. Safe to call twice."""
        self._hang_up()
        if self._child:
            self._child.end(GRACE_S)
            self._child = None
        self._listening.close()
        if not self._poll.closed:
            self._poll.close()

    def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            try:
                fds = {LISTEN_FD: self._listening.fileno(), LINK_FD: theirs.fileno()}
                self._child = Child(fds, self._options.encode(), MODULE)
            except OSError as error:
                ours.close()
                self._failed(f"could not be started: {error.strerror}")
                return
        self.starts += 1
        self._link = LineServer(ours, self._answered)
        self._poll.register(ours.fileno(), select.EPOLLIN)
        self._poll.register(self._child.pidfd, select.EPOLLIN)

    def _answered(self, question: dict[str, Any]) -> dict[str, Any]:
        if question.get("request") not in _ANSWERED:
            return {"error": "this is nothing for metrics"}
        return self._answer(question)

    def _serve(self, link: LineServer, events: int) -> None:
        try:
            link.attend(self._poll, events)
        except HungUp:
            self._hang_up()

    def _hang_up(self) -> None:
        if self._link:
            self._poll.unregister(self._link.sock.fileno())
            self._link.sock.close()
            self._link = None

    def _ended(self, child: Child) -> None:
        status = child.reap()
        if status is None:
            return
        self._hang_up()
        self._poll.unregister(child.pidfd)
        child.close()
        self._child = None
        if time.monotonic() - child.started_s > STEADY_S:
            self._failures = 0
        self._failed(f"ended by signal {-status}" if status < 0 else f"ended with status {status}")

    def _failed(self, how: str) -> None:
        pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(self._failures, 10))
        self._failures += 1
        self._due_s = time.monotonic() + pause
        self._notice(f"the metrics process {how}; it is started again in {pause:g} s")
