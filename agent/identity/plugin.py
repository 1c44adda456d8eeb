# SPDX-License-Identifier: Apache-2.0
"""Plugin of a container runtime by NRI: is told of each container before its first process runs, and lets
the runtime wait until the agent's policies know it. Whatever goes wrong here, containers start: the runtime
goes on without a plugin that hung up.

Source: containerd/nri pkg/adaptation/plugin.go (order of the calls, time limits) and pkg/stub/stub.go."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from agent.identity import nri
from agent.identity.mux import PLUGIN, REQUEST, RESPONSE, RUNTIME, BadFrame, Incoming, Message, encode
from agent.identity.nri import Existing, Request, Start
from agent.identity.runtimes import State
from agent.identity.text import clean

PATIENCE_S = 10.0
"""Longest that connecting, or a step of the registration, takes, in seconds; others may come first."""
SEND_S = 2.0
"""Longest that an answer takes to be written, in seconds."""
PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
"""Pauses before it connects again after failing so often, in seconds. A runtime that is started again makes
containers soon after."""
LOOK_S = 1.0
"""How often it is looked whether a socket has come, in seconds."""
READ = 1 << 16
_STREAM = 1
"""Of our one request."""


class Plugin:
    """One runtime's plugin: a thread runs `run`."""

    def __init__(
        self,
        path: str,
        existing: Callable[[Start], None],
        starting: Callable[[Start, float], str],
        creating: Callable[[Start, float], str] | None = None,
        required: bool = False,
        annotations: tuple[str, ...] = (),
    ) -> None:
        """`existing` is told of containers that run; `starting` of one that waits, and for how many seconds
        it may: why its start is refused, or nothing; `creating` of one that is to be made, with None nobody.
        `required`: that there is no socket is an error."""
        self._path, self._required, self._annotations = path, required, annotations
        self._existing, self._starting, self._creating = existing, starting, creating
        self._over = threading.Event()
        self._sock: socket.socket | None = None
        self._error = ""
        self._runtime = ""
        """Name of the runtime that it is a plugin of now."""
        self._heard_s = time.monotonic()

    def run(self) -> None:
        """Until stopped."""
        failures = 0
        while not self._over.is_set():
            if not self._required and not is_socket(self._path):
                failures, self._error = 0, ""
                self._over.wait(LOOK_S)
                continue
            failures = 0 if self._serve() else failures + 1
            self._over.wait(PAUSES_S[min(failures, len(PAUSES_S) - 1)])

    def stop(self) -> None:
        """Ends `run`; the runtime goes on without it."""
        self._over.set()
        if (sock := self._sock) is not None:
            _hang_up(sock)

    def health(self) -> State:
        """Off where there is no socket."""
        age = round(time.monotonic() - self._heard_s, 3)
        if self._runtime:
            return State("fresh", age, "")
        return State("stale", age, self._error) if self._error else State("off", 0.0, "")

    def _serve(self) -> bool:
        """One connection; whether it came to be a plugin."""
        was_plugin = False
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
                self._sock = sock
                self._converse(sock)
        except (OSError, BadFrame, Refused) as error:
            was_plugin = bool(self._runtime)
            if not self._over.is_set():
                self._error = f"{self._path}: {clean(_words(error), 300)}"
        finally:
            self._sock, self._runtime = None, ""
        return was_plugin

    def _converse(self, sock: socket.socket) -> None:
        """Raises OSError, BadFrame, Refused: there is no other end of it."""
        sock.settimeout(PATIENCE_S)
        sock.connect(self._path)
        self._say(sock, Message(RUNTIME, _STREAM, REQUEST, nri.register()))
        incoming, existing = Incoming(), Existing(self._annotations)
        while not self._over.is_set():
            sock.settimeout(None if self._runtime else PATIENCE_S)
            data = sock.recv(READ)
            if not data:
                raise Refused("the runtime hung up" if self._runtime else "the runtime takes no plugin")
            self._heard_s = time.monotonic()
            for message in incoming.take(data):
                self._take(sock, message, existing)

    def _take(self, sock: socket.socket, message: Message, existing: Existing) -> None:
        if message.connection == RUNTIME and message.kind == RESPONSE:
            if problem := nri.problem_of(message.content):
                raise Refused(problem)
        elif message.connection == PLUGIN and message.kind == REQUEST:
            request = nri.read_request(message.content)
            after: list[Start] = []
            told = self._answer(request, existing, after)
            self._say(sock, message._replace(kind=RESPONSE, content=told))
            for one in after:  # the runtime does not wait for that
                self._existing(one)

    def _answer(self, request: Request, existing: Existing, after: list[Start]) -> bytes:
        """What is asked and not known here is answered with nothing, which every message of NRI may be."""
        if request.method == "Configure":
            self._runtime, self._error = nri.read_runtime(request.content) or "a runtime", ""
            return nri.answer(nri.configured(self._creating is not None))
        if request.method == "Synchronize":
            found, more = existing.read(request.content)
            after += found
            return nri.answer(nri.synchronized(more))
        if request.method in ("StartContainer", "StateChange"):
            return self._held(request, self._starting)
        if request.method == "CreateContainer" and self._creating:
            return self._held(request, self._creating)
        return nri.answer()

    def _held(self, request: Request, ask: Callable[[Start, float], str]) -> bytes:
        start = nri.read_start(request, self._annotations)
        refused = ask(start, _half(request.within_s)) if start else ""
        return nri.refuse(refused) if refused else nri.answer()

    def _say(self, sock: socket.socket, message: Message) -> None:
        sock.settimeout(SEND_S)
        sock.sendall(encode(message))


class Refused(Exception):
    """The runtime takes no plugin, or not this one."""


def is_socket(path: str) -> bool:
    """Not where it may not be looked at."""
    try:
        return Path(path).is_socket()
    except OSError:
        return False


def _half(within_s: float) -> float:
    """The rest is for the way back, on a busy machine."""
    return within_s / 2 if within_s > 0 else 60.0


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no word within {PATIENCE_S:g} s"
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def _hang_up(sock: socket.socket) -> None:
    with suppress(OSError):  # it was not connected yet, or is gone
        sock.shutdown(socket.SHUT_RDWR)
