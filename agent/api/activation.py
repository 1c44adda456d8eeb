# SPDX-License-Identifier: Apache-2.0
"""The agent's part of the service: it holds the socket, and starts the service when somebody connects.

The agent never accepts a connection and never speaks HTTP/2. It listens, and on the first connection
starts a child process that inherits the listening socket and serves everybody until it has been idle
for a while. Then it ends, and the agent listens again. What the child asks (`agent.api.lines`) is
answered from the agent's loop without ever waiting.
"""

from __future__ import annotations

import select
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.api.addresses import bind
from agent.api.certificates import Certificates
from agent.api.child import LINK_FD, LISTEN_FD, TCP_FD, Child
from agent.api.lines import Answer, HungUp, LineServer
from agent.api.listening import Listening, listen
from agent.api.options import Options
from agent.errors import TracehoundError
from agent.settings import ApiSettings

IDLE_S = 60.0
"""How long a service without clients stays, in seconds: a client that comes back finds it warm."""
RENEW_S = 20.0
"""How often the service asks for new certificates, in seconds."""
START_MS = 60_000
"""How much earlier than this object the agent may have started, in milliseconds."""
GRACE_S = 2.0
"""How long a service may take to end when the agent stops, in seconds."""
STEADY_S = 60.0
"""A service that lived this long before it failed does not count as failing repeatedly, in seconds."""
LONGEST_PAUSE_S = 60.0
"""The longest pause after repeated failures, in seconds."""


def _to_stderr(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


class ApiSocket:
    """The control socket and, while it runs, the service behind it.

    For an epoll loop: register `filenos()` once for reading, call `handle(fd)` when one is ready and
    `tick()` about once a second. None of them waits.
    """

    def __init__(
        self,
        settings: ApiSettings,
        log_dir: str,
        answer: Answer,
        *,
        idle_s: float = IDLE_S,
        renew_s: float = RENEW_S,
        hold_s: float = 0.0,
        report: Callable[[str], None] = _to_stderr,
    ) -> None:
        """Binds and listens. Raises AlreadyRunning, PermissionMissing, SettingsError, TracehoundError.

        `hold_s`: how long streams hold the events of a container that is not known yet, in seconds.
        `answer` gets what the service asks (`{"request": "status"}`, `version`, `reload`) and must return
        at once; `report` gets one sentence when the service failed.
        """
        self._answer = answer
        self._report = report
        self._options = Options(
            log_dir=str(Path(log_dir).absolute()),
            client_queue_events=settings.client_queue_events,
            max_clients=settings.max_clients,
            user=settings.socket_group,
            agent_started_ms=(time.time_ns() // 1_000_000) - START_MS,
            idle_s=idle_s,
            hold_s=hold_s,
            renew_s=renew_s,
            deny_namespaces=list(settings.deny_namespaces),
        )
        self._poll = select.epoll()
        self._listening: Listening | None = None
        self._waiting = False
        self._child: Child | None = None
        self._link: LineServer | None = None
        self._failures = 0
        self._pause_until_s = 0.0
        self.starts = 0
        """How often the service was started."""
        self._tcp: socket.socket | None = None
        self._certificates = Certificates(settings)
        if settings.socket:
            self._listening = listen(settings.socket, settings.socket_group)
        if settings.listen:
            self._listen_tcp(settings.listen)
        self._options = replace(
            self._options,
            unix=self._listening is not None,
            tcp=self._tcp is not None,
            tls=self._certificates.enabled,
        )
        self._wait_for_client()

    @property
    def address(self) -> str:
        """TCP address where it listens, with the port that the system chose for port 0; empty for none."""
        if self._tcp is None:
            return ""
        host, port = self._tcp.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def filenos(self) -> list[int]:
        """What to register with the loop, for reading: one descriptor that stays the same for life.

        It is an epoll set of its own, in which the listening socket is only while no service runs.
        """
        return [self._poll.fileno()] if self._sockets else []

    def facts(self) -> dict[str, Any]:
        """State of the service, for the agent's status."""
        return {
            "listening": self._listening is not None,
            "pid": self._child.pid if self._child else None,
            "starts": self.starts,
            "failures": self._failures,
        }

    def handle(self, fd: int) -> None:
        """Does what is due on a descriptor of `filenos()`. Never waits."""
        for ready, events in self._poll.poll(0):
            if self._link and ready == self._link.sock.fileno():
                self._serve_link(self._link, events)
            elif self._child and ready == self._child.pidfd:
                self._child_ended()
            elif ready in self._sockets.values() and self._waiting:
                self._start()

    def tick(self) -> None:
        """Listens again when a pause after repeated failures is over. Never waits."""
        if self._child is None and not self._waiting and time.monotonic() >= self._pause_until_s:
            self._wait_for_client()

    def close(self) -> None:
        """Ends the service (at most `GRACE_S` seconds) and removes the socket. Safe to call twice."""
        self._hang_up()
        if self._child:
            self._child.end(GRACE_S)
            self._child = None
        if self._listening:
            self._listening.remove()
            self._listening = None
        if self._tcp:
            self._tcp.close()
            self._tcp = None
        if not self._poll.closed:
            self._poll.close()

    @property
    def _sockets(self) -> dict[int, int]:
        """Listening sockets: their descriptors in the child, and here."""
        sockets = {LISTEN_FD: self._listening.sock.fileno()} if self._listening else {}
        return {**sockets, TCP_FD: self._tcp.fileno()} if self._tcp else sockets

    def _listen_tcp(self, address: str) -> None:
        """Raises what `bind` raises, without leaving the other socket behind."""
        try:
            self._tcp = bind(address, "api.listen")
        except TracehoundError:
            self.close()
            raise

    def _wait_for_client(self) -> None:
        for fd in self._sockets.values():
            self._poll.register(fd, select.EPOLLIN)
            self._waiting = True

    def _start(self) -> None:
        """Somebody connected: from now on the service accepts."""
        for fd in self._sockets.values():
            self._poll.unregister(fd)
        self._waiting = False
        try:
            ours = self._spawn()
        except OSError as error:
            self._failed(f"could not be started: {error.strerror}")
            return
        self.starts += 1
        self._link = LineServer(ours, self._answered)
        self._poll.register(ours.fileno(), select.EPOLLIN)

    def _spawn(self) -> socket.socket:
        """Starts the service and returns our end of the link. Raises OSError."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            try:
                child = Child({**self._sockets, LINK_FD: theirs.fileno()}, self._options.encode())
            except OSError:
                ours.close()
                raise
        self._poll.register(child.pidfd, select.EPOLLIN)
        self._child = child
        return ours

    def _serve_link(self, link: LineServer, events: int) -> None:
        try:
            link.attend(self._poll, events)
        except HungUp:
            self._hang_up()

    def _answered(self, question: dict[str, Any]) -> dict[str, Any]:
        """What concerns the service alone is answered here."""
        if question.get("request") == "log_level":
            self._options = replace(self._options, log_level=str(question.get("level")))
            return {"ok": True}
        if question.get("request") == "certificates":
            return self._certificates.answer(question)
        return self._answer(question)

    def _hang_up(self) -> None:
        """The service ends when it sees that nobody is left to ask."""
        if self._link:
            self._poll.unregister(self._link.sock.fileno())
            self._link.sock.close()
            self._link = None

    def _child_ended(self) -> None:
        child = self._child
        assert child is not None
        status = child.reap()
        if status is None:
            return
        self._hang_up()
        self._poll.unregister(child.pidfd)
        child.close()
        self._child = None
        if status == 0:
            self._failures = 0
            self._wait_for_client()
            return
        if time.monotonic() - child.started_s > STEADY_S:
            self._failures = 0
        self._failed(f"ended by signal {-status}" if status < 0 else f"ended with status {status}")

    def _failed(self, how: str) -> None:
        """The first failure is forgiven at once; from the second on there is a growing pause."""
        self._failures += 1
        pause = 0.0 if self._failures == 1 else min(LONGEST_PAUSE_S, 2.0 ** min(self._failures - 2, 10))
        self._pause_until_s = time.monotonic() + pause
        then = f"connections wait {pause:g} s" if pause else "it starts again with the next connection"
        self._report(f"tracehound: the API service {how}; {then}")
        self.tick()
