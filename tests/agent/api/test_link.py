# SPDX-License-Identifier: Apache-2.0
import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from agent.api import link
from agent.api.lines import LONGEST_LINE
from agent.api.link import AgentLink, AgentSilent, _line
from agent.policy.document import MAX_TEXT_BYTES

Scenario = Callable[[AgentLink, socket.socket], Awaitable[None]]


def run(scenario: Scenario) -> None:
    async def play() -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        agent = AgentLink(ours)
        await agent.open()
        with theirs:
            await scenario(agent, theirs)
        await asyncio.wait_for(agent.gone.wait(), 5)

    asyncio.run(play())


async def question(theirs: socket.socket) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    found: dict[str, Any] = json.loads(await loop.sock_recv(theirs, 65536))
    return found


def test_answers_find_their_questions_in_any_order() -> None:
    async def scenario(agent: AgentLink, theirs: socket.socket) -> None:
        first = asyncio.create_task(agent.ask("status"))
        second = asyncio.create_task(agent.ask("policy", yaml="x"))
        await asyncio.sleep(0.05)
        theirs.send(b'{"id":2,"b":2}\n{"a":1,"id":1}\n')
        assert await first == {"a": 1}
        assert await second == {"b": 2}

    run(scenario)


def test_a_question_is_one_line() -> None:
    async def scenario(agent: AgentLink, theirs: socket.socket) -> None:
        asking = asyncio.create_task(agent.ask("policy", yaml="a\nb"))
        assert await question(theirs) == {"request": "policy", "yaml": "a\nb", "id": 1}
        theirs.send(b'{"id":1}\n')
        await asking

    run(scenario)


def test_the_longest_policy_fits_into_a_question_of_the_agent() -> None:
    policy = "é\n" * (MAX_TEXT_BYTES // 3)
    assert MAX_TEXT_BYTES < len(_line({"request": "policy_add", "text": policy})) < LONGEST_LINE
    assert _line({"text": "\udc80"}) == b'{"text": "?"}\n'


def test_no_answer_in_time_is_silence_and_a_late_one_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "ANSWER_S", 0.1)

    async def scenario(agent: AgentLink, theirs: socket.socket) -> None:
        with pytest.raises(AgentSilent):
            await agent.ask("status")
        theirs.send(b'{"id":1,"late":true}\n')
        asking = asyncio.create_task(agent.ask("status"))
        await asyncio.sleep(0.02)
        theirs.send(b'{"id":2}\n')
        assert await asking == {}

    run(scenario)


def test_an_agent_that_goes_leaves_nobody_waiting() -> None:
    async def scenario(agent: AgentLink, theirs: socket.socket) -> None:
        asking = asyncio.create_task(agent.ask("status"))
        await asyncio.sleep(0.05)
        theirs.shutdown(socket.SHUT_RDWR)
        with pytest.raises(AgentSilent):
            await asking
        with pytest.raises(AgentSilent):
            await agent.ask("status")

    run(scenario)


def test_an_agent_that_talks_nonsense_counts_as_gone() -> None:
    async def scenario(agent: AgentLink, theirs: socket.socket) -> None:
        theirs.send(b"hello\n")
        await asyncio.wait_for(agent.gone.wait(), 5)

    run(scenario)
