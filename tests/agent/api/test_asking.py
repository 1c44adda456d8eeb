# SPDX-License-Identifier: Apache-2.0
"""Refusals of the agent as a client of another implementation sees them."""

import json
from typing import Any

import grpc
import pytest

from agent.api.proto.tetragon import sensors_pb2 as pb
from tests.agent.api.support import Agent, call


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"error": "e", "code": "unknown"}, grpc.StatusCode.NOT_FOUND),
        ({"error": "e", "code": "invalid"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"error": "e", "code": "refused"}, grpc.StatusCode.FAILED_PRECONDITION),
        ({"error": "e"}, grpc.StatusCode.FAILED_PRECONDITION),
    ],
)
def test_a_refusal_has_a_status_and_the_way_out(
    agent: Agent, channel: grpc.Channel, answer: dict[str, Any], code: grpc.StatusCode
) -> None:
    agent.told["info"] = {**answer, "hint": "do – this"}
    with pytest.raises(grpc.RpcError) as caught:
        call(channel, "FineGuidanceSensors/GetInfo", pb.GetInfoRequest())
    metadata = dict(caught.value.trailing_metadata())
    assert (caught.value.code(), caught.value.details()) == (code, "e\nhint: do – this")
    assert json.loads(metadata["tracehound-hint"]) == "do – this"


def test_an_agent_that_does_not_answer_is_unavailable(agent: Agent, channel: grpc.Channel) -> None:
    agent.delay_s = 4
    with pytest.raises(grpc.RpcError, match="the agent does not answer") as caught:
        call(channel, "FineGuidanceSensors/GetInfo", pb.GetInfoRequest())
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
