# SPDX-License-Identifier: Apache-2.0
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from agent.api.lines import LONGEST_LINE, HungUp, LineServer
from agent.errors import SettingsError


def answer(question: dict[str, Any]) -> dict[str, Any]:
    match question:
        case {"request": "status"}:
            return {"state": "running"}
        case {"request": "reload"}:
            raise SettingsError(["line 3: unknown key", "line 5: not a number"], "correct them")
        case {"request": "long"}:
            return {"text": "x" * 100_000}
    raise KeyError(question["request"])


@pytest.fixture
def pair() -> Iterator[tuple[LineServer, socket.socket]]:
    ours, theirs = socket.socketpair()
    theirs.settimeout(5)
    with ours, theirs:
        yield LineServer(ours, answer), theirs


Pair = tuple[LineServer, socket.socket]


def ask(pair: Pair, data: bytes) -> list[dict[str, Any]]:
    pair[1].sendall(data)
    pair[0].read()
    return [json.loads(line) for line in pair[1].recv(1 << 20).splitlines()]


def test_questions_are_answered_in_order_with_their_numbers(pair: Pair) -> None:
    assert ask(pair, b'{"request":"status","id":1}\n{"request":"status"}\n') == [
        {"state": "running", "id": 1},
        {"state": "running"},
    ]


def test_a_question_may_arrive_in_pieces(pair: Pair) -> None:
    pair[1].sendall(b'{"request":')
    pair[0].read()
    assert ask(pair, b'"status"}\n') == [{"state": "running"}]


def test_an_error_is_an_answer_with_the_way_out(pair: Pair) -> None:
    assert ask(pair, b'{"request":"reload","id":4}\n') == [
        {"error": "line 3: unknown key\nline 5: not a number", "hint": "correct them", "id": 4}
    ]


def test_a_defect_in_the_agent_is_an_answer_too(pair: Pair) -> None:
    assert ask(pair, b'{"request":"dance"}\n') == [{"error": "KeyError: 'dance'"}]


@pytest.mark.parametrize("line", [b"hello\n", b"[1]\n", b"\xff\n", b"\n"])
def test_nonsense_is_answered_not_obeyed(pair: Pair, line: bytes) -> None:
    (found,) = ask(pair, line)
    assert found["error"].startswith("a question is ")


def test_a_question_without_end_is_hung_up_on(pair: Pair) -> None:
    pair[1].setblocking(False)
    with pytest.raises(HungUp, match="too long"):
        for _ in range(LONGEST_LINE // 1000):
            pair[1].send(b"x" * 4096)
            pair[0].read()


def test_answers_wait_for_room_and_too_many_are_hung_up_on(pair: Pair) -> None:
    with pytest.raises(HungUp, match="not read"):
        for _ in range(1000):
            pair[1].send(b'{"request":"long"}\n')
            pair[0].read()
    assert pair[0].wants_to_write


def test_nothing_to_read_is_no_reason_to_wait(pair: Pair) -> None:
    pair[0].read()


def test_the_end_of_the_other_side_is_told(pair: Pair) -> None:
    pair[1].close()
    with pytest.raises(HungUp, match="closed"):
        pair[0].read()
