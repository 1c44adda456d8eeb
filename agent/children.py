# SPDX-License-Identifier: Apache-2.0
"""Processes that the agent runs beside itself: how each is started, and those that speak with it in lines."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

_FREE_FD = 10
"""Where the agent's copies are put, so that they are not among the child's numbers."""
_LOCK_S = 10.0
"""How long a child waits for the one before it to let go, in seconds."""
_RESET = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD, signal.SIGQUIT)


def spawn(arguments: Sequence[str], fds: Mapping[int, int], *, keeps_output: bool = False) -> int:
    """Starts Python with these arguments; returns its pid. `fds` are the child's descriptors and which of
    ours each of them is a copy of; without 0 its standard input is empty. Standard output belongs to the
    agent's events, so the child writes to standard error unless it `keeps_output`. posix_spawn: the agent's
    memory is not copied, and its signal mask is not inherited. Raises OSError."""
    copies = {place: fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FREE_FD) for place, fd in fds.items()}
    nothing = [] if 0 in fds else [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]
    output = [] if keeps_output else [(os.POSIX_SPAWN_DUP2, 2, 1)]
    try:
        return os.posix_spawn(
            sys.executable,
            [sys.executable, "-P", *arguments],
            environment(),
            file_actions=[
                *nothing,
                *output,
                *((os.POSIX_SPAWN_DUP2, copy, place) for place, copy in copies.items()),
            ],
            setpgroup=0,  # a terminal's Ctrl-C is the agent's to act on
            setsigmask=[],
            setsigdef=_RESET,
        )
    finally:
        for copy in copies.values():
            os.close(copy)


def environment() -> dict[str, str]:
    """The agent's own, and where this package lies: a child must not look into its working directory."""
    root, inherited = str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{root}:{inherited}" if inherited else root}


class LineChild:
    """One process with a socket pair, over which both send lines of JSON. It ends by itself when its end of
    the link is closed. Nothing here waits."""

    def __init__(
        self,
        arguments: Sequence[str],
        link: int,
        fds: Mapping[int, int],
        *,
        read_bytes: int,
        longest_line: int,
    ) -> None:
        """`link`: the child's number of its end; `fds` as for `spawn`. `read_bytes`: most that is taken per
        call; a child whose line is longer than `longest_line` bytes is killed. Raises OSError."""
        self._read_bytes, self._longest = read_bytes, longest_line
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.setblocking(False)
        try:
            with theirs:
                self.pid = spawn(arguments, {link: theirs.fileno(), **fds})
            self.pidfd = os.pidfd_open(self.pid)
            """Readable once the process has ended."""
        except OSError:
            self.sock.close()
            raise
        self.started_s = self.heard_s = time.monotonic()
        self.status: int | None = None
        self._incoming = bytearray()
        self._outgoing = bytearray()

    def say(self, line: Mapping[str, Any]) -> int:
        """A line for the child; what does not fit waits. Returns how many bytes do."""
        self._outgoing += orjson.dumps(line) + b"\n"
        self.flush()
        return len(self._outgoing)

    def flush(self) -> None:
        """Sends what fits; a child that is gone is noticed by its end."""
        with suppress(OSError):
            while self._outgoing:
                del self._outgoing[: self.sock.send(self._outgoing)]

    def lines(self) -> Iterator[bytes]:
        """Whole lines, of what stood there and of what is read now. Those that are not taken stay."""
        with suppress(BlockingIOError, InterruptedError):
            try:
                data = self.sock.recv(self._read_bytes)
            except ConnectionError:
                data = b""
            self._incoming += data
            if not data:
                self.kill()  # it hung up
        begin = 0
        try:
            while (end := self._incoming.find(b"\n", begin)) >= 0:
                line, begin = bytes(self._incoming[begin:end]), end + 1
                yield line
        finally:
            del self._incoming[:begin]
        if len(self._incoming) > self._longest:
            self.kill()

    def reap(self, *, wait: bool = False) -> int | None:
        """How it ended, as in `os.waitstatus_to_exitcode`; None while it runs."""
        if self.status is None:
            try:
                pid, status = os.waitpid(self.pid, 0 if wait else os.WNOHANG)
            except ChildProcessError:  # somebody else collected it
                pid, status = self.pid, 0
            self.status = os.waitstatus_to_exitcode(status) if pid else None
        return self.status

    def kill(self) -> None:
        """At once: it has nothing to lose."""
        if self.status is None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def close(self) -> None:
        """Forgets it."""
        self.sock.close()
        os.close(self.pidfd)


def hold_alone(directory: Path) -> int:
    """In a child: the lock of its state directory, whose descriptor is to be kept. Two would tell everything
    twice. Raises BlockingIOError when another one does not let go, OSError."""
    fd = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline_s = time.monotonic() + _LOCK_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return fd
        except BlockingIOError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.05)
