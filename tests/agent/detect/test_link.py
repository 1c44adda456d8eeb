# SPDX-License-Identifier: Apache-2.0
import socket
from collections.abc import Iterator

import orjson
import pytest

from agent.detect.link import FULL_BYTES, AgentGone, Link


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, Link]]:
    """The agent's end, and the worker's."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(5)
        yield ours, Link(theirs)


def test_lines_go_out_whole(ends: tuple[socket.socket, Link]) -> None:
    agent, link = ends
    link.put({"kind": "story"})
    mark = link.mark()
    link.flush()
    assert [orjson.loads(line) for line in agent.recv(999).splitlines()] == [
        {"kind": "story"},
        {"mark": mark},
    ]


def test_an_answer_to_a_mark_is_noted_and_other_lines_are_handed_on(ends: tuple[socket.socket, Link]) -> None:
    agent, link = ends
    agent.send(b'{"mark":3}\n{"stop":7}\n{"ma')
    assert (list(link.lines()), link.answered) == ([{"stop": 7}], 3)
    agent.send(b'rk":4}\n')
    assert (list(link.lines()), link.answered) == ([], 4)


def test_what_the_agent_does_not_take_waits_until_it_is_too_much(ends: tuple[socket.socket, Link]) -> None:
    agent, link = ends
    while not link.is_full:
        link.put({"text": "x" * 100_000})
        link.flush()
    assert link.has_unsent
    while link.has_unsent:
        assert agent.recv(FULL_BYTES)
        link.flush()
    assert not link.is_full


def test_an_agent_that_is_gone_is_noticed(ends: tuple[socket.socket, Link]) -> None:
    agent, link = ends
    agent.close()
    with pytest.raises(AgentGone):
        list(link.lines())
    link.mark()
    with pytest.raises(AgentGone):
        link.flush()
