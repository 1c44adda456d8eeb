# SPDX-License-Identifier: Apache-2.0
import asyncio

import pytest

from agent.api.proto.tetragon import sensors_pb2
from agent.api.unary import unary
from agent.errors import AgentUnreachable, TracehoundError
from tests.agent.api.support import Agent

REQUEST = sensors_pb2.GetVersionRequest()


def ask(path: str, method: str, timeout_s: float = 20) -> sensors_pb2.GetVersionResponse:
    full = f"/tetragon.FineGuidanceSensors/{method}"
    return asyncio.run(unary(path, full, REQUEST, sensors_pb2.GetVersionResponse, timeout_s))


def test_an_answer_is_returned(agent: Agent) -> None:
    assert ask(agent.path, "GetVersion").version == "1.2.3"


def test_a_refusal_is_an_error_in_words(agent: Agent) -> None:
    with pytest.raises(TracehoundError, match="ListSensors is deprecated"):
        ask(agent.path, "ListSensors")


def test_no_answer_in_time_is_unreachable(agent: Agent) -> None:
    ask(agent.path, "GetVersion")
    agent.delay_s = 2
    with pytest.raises(AgentUnreachable, match=r"no answer within 0\.5 s"):
        ask(agent.path, "GetVersion", timeout_s=0.5)


def test_nobody_there_is_unreachable() -> None:
    with pytest.raises(AgentUnreachable, match="broke"):
        ask("/no/such/socket", "GetVersion")
