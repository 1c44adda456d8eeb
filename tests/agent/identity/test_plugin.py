# SPDX-License-Identifier: Apache-2.0
"""A plugin's life with a runtime made for the test: good ones, silent ones and hostile ones."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.identity import nri, plugin, wire
from agent.identity.mux import PLUGIN, REQUEST, RESPONSE, RUNTIME, Incoming, Message, encode
from agent.identity.nri import Start
from agent.identity.plugin import Plugin
from tests.agent.identity.test_nri import CONTAINER, ID, POD, STARTED

CONFIGURE = wire.encode(2, "containerd") + wire.encode(3, "v2.3.3")


class Runtime:
    """The other end: asks one thing after the other."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock, self._incoming, self._stream = sock, Incoming(), 1

    def next(self) -> Message:
        """What the plugin says."""
        while True:
            data = self.sock.recv(4096)
            assert data, "the plugin hung up"
            for message in self._incoming.take(data):
                return message

    def ask(self, method: str, content: bytes = b"") -> bytes:
        """The content of its answer."""
        request = wire.encode(1, "nri.pkg.api.v1alpha1.Plugin") + wire.encode(2, method)
        request += wire.encode(3, content) + wire.encode_number(4, 2_000_000_000)
        self.sock.sendall(encode(Message(PLUGIN, self._stream, REQUEST, request)))
        answer = self.next()
        assert (answer.connection, answer.stream, answer.kind) == (PLUGIN, self._stream, RESPONSE)
        self._stream += 2
        return answer.content

    def register(self, creations: bool = False) -> None:
        """Until it is told of containers."""
        asked = self.next()
        assert asked.connection == RUNTIME and b"RegisterPlugin" in asked.content
        self.sock.sendall(encode(Message(RUNTIME, asked.stream, RESPONSE, b"")))
        assert self.ask("Configure", CONFIGURE) == nri.answer(nri.configured(creations))


class Told:
    """A plugin in its thread, and what it told."""

    def __init__(self, path: Path, refused: str = "", creating: str | None = None) -> None:
        self.existing: list[Start] = []
        self.starting: list[tuple[Start, float]] = []
        self.server = socket.socket(socket.AF_UNIX)
        self.server.settimeout(30)
        self.server.bind(str(path))
        self.server.listen()
        self._refused = refused
        create = None if creating is None else lambda start, within_s: creating
        self.plugin = Plugin(str(path), self.existing.append, self._start, create)
        self._thread = threading.Thread(target=self.plugin.run)
        self._thread.start()

    def _start(self, start: Start, within_s: float) -> str:
        self.starting.append((start, within_s))
        return self._refused

    def accept(self) -> Runtime:
        """The next connection."""
        sock, _ = self.server.accept()
        sock.settimeout(30)
        return Runtime(sock)

    def close(self) -> None:
        self.plugin.stop()
        self._thread.join(30)
        self.server.close()
        assert not self._thread.is_alive()


@contextmanager
def told(path: Path, refused: str = "", creating: str | None = None) -> Iterator[Told]:
    made = Told(path / "nri.sock", refused, creating)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pauses, for the test."""
    monkeypatch.setattr(plugin, "PAUSES_S", (0.01, 0.01))
    monkeypatch.setattr(plugin, "LOOK_S", 0.01)


def test_a_start_is_told_and_answered_with_nothing(tmp_path: Path) -> None:
    with told(tmp_path) as made:
        runtime = made.accept()
        runtime.register()
        assert runtime.ask("StartContainer", STARTED) == b"" and made.plugin.health().state == "fresh"
        [(start, within_s)] = made.starting
        assert start.found.container["id"] == ID and within_s == 1.0
        runtime.sock.close()


def test_a_start_that_is_refused_is_an_error_to_the_runtime(tmp_path: Path) -> None:
    with told(tmp_path, "fail-closed") as made:
        runtime = made.accept()
        runtime.register()
        assert nri.problem_of(runtime.ask("StartContainer", STARTED)) == "fail-closed"
        runtime.sock.close()


@pytest.mark.parametrize("refused", ["", "fail-closed"])
def test_a_creation_is_told_to_who_wants_it_and_may_be_refused(tmp_path: Path, refused: str) -> None:
    with told(tmp_path, creating=refused) as made:
        runtime = made.accept()
        runtime.register(creations=True)
        assert nri.problem_of(runtime.ask("CreateContainer", STARTED)) == refused and not made.starting
        runtime.sock.close()


def test_what_there_was_is_told_in_parts(tmp_path: Path) -> None:
    with told(tmp_path) as made:
        runtime = made.accept()
        runtime.register()
        more = nri.answer(nri.synchronized(True))
        assert runtime.ask("Synchronize", wire.encode(1, POD) + wire.encode_number(3, 1)) == more
        assert runtime.ask("Synchronize", wire.encode(2, CONTAINER)) == b""
        assert runtime.ask("RemoveContainer", STARTED) == b""  # an answer to what is not known here
        assert [one.found.pod["name"] for one in made.existing] == ["web-1"] and not made.starting
        runtime.sock.close()


def test_a_runtime_that_is_started_again_gets_its_plugin_back(tmp_path: Path) -> None:
    with told(tmp_path) as made:
        for _ in range(3):
            runtime = made.accept()
            runtime.register()
            runtime.ask("Shutdown")
            runtime.sock.close()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\xff" * 64, "a frame of 4294967295 bytes"),
        (b"\0\0\0\1\0\0\0\x0a\xff\xff\xff\xff\0\0\0\1\1\0", "a message of 4294967295 bytes"),
        (b"\0\0\0\1\0\0", "takes no plugin"),
        (b"", "takes no plugin"),
        (encode(Message(RUNTIME, 1, RESPONSE, nri.refuse("not you"))), "not you"),
    ],
)
def test_what_is_no_nri_is_told_and_tried_again(tmp_path: Path, data: bytes, why: str) -> None:
    with told(tmp_path) as made:
        runtime = made.accept()
        runtime.next()
        runtime.sock.sendall(data)
        runtime.sock.close()
        second = made.accept()
        health = made.plugin.health()
        assert health.state == "stale" and why in health.error
        second.sock.close()


def test_a_runtime_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin, "PATIENCE_S", 0.05)
    with told(tmp_path) as made:
        first = made.accept()
        second = made.accept()
        assert "no word within 0.05 s" in made.plugin.health().error
        first.sock.close()
        second.sock.close()


def test_half_a_request_ends_with_its_connection(tmp_path: Path) -> None:
    with told(tmp_path) as made:
        runtime = made.accept()
        runtime.register()
        runtime.sock.sendall(encode(Message(PLUGIN, 9, REQUEST, STARTED))[:100])
        runtime.sock.close()
        made.accept().sock.close()
        assert not made.starting


def test_without_a_socket_it_is_off_and_a_required_one_is_missing(tmp_path: Path) -> None:
    for required, state in ((False, "off"), (True, "stale")):
        made = Plugin(str(tmp_path / "none"), print, lambda start, within: "", None, required)
        thread = threading.Thread(target=made.run)
        thread.start()
        while required and not made.health().error:
            pass
        made.stop()
        thread.join()
        assert made.health().state == state
