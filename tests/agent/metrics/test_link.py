# SPDX-License-Identifier: Apache-2.0
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agent.api.lines import HungUp, LineServer
from agent.metrics import link as module
from agent.metrics.link import Link


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def answering(sock: socket.socket, answer: Callable[[dict[str, Any]], dict[str, Any]]) -> threading.Thread:
    """The agent's real end, in a thread."""

    def run() -> None:
        server = LineServer(sock, answer)
        sock.setblocking(True)
        try:
            while True:
                server.read()
        except HungUp:
            pass

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def test_a_question_is_answered(pair: tuple[socket.socket, socket.socket]) -> None:
    answering(pair[0], lambda question: {"to": question["request"]})
    link = Link(pair[1])
    assert [link.ask("a"), link.ask("b")] == [{"to": "a"}, {"to": "b"}]


def test_a_refusal_is_no_answer(pair: tuple[socket.socket, socket.socket]) -> None:
    answering(pair[0], lambda _: {"error": "no"})
    assert Link(pair[1]).ask("a") is None


def test_an_answer_that_comes_too_late_is_not_taken_for_the_next(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANSWER_S", 0.05)
    link = Link(pair[1])
    assert link.ask("a") is None
    monkeypatch.setattr(module, "ANSWER_S", 10)
    answering(pair[0], lambda question: {"to": question["request"]})
    assert link.ask("b") == {"to": "b"}


def test_an_agent_that_is_gone_gives_none_at_once(pair: tuple[socket.socket, socket.socket]) -> None:
    pair[0].close()
    assert Link(pair[1]).ask("a") is None
