# SPDX-License-Identifier: Apache-2.0
import os
import signal

import grpc
import pytest

from agent.api.proto.tetragon import sensors_pb2
from tests.agent.api.support import Agent, call, get_events, wait_until


def test_a_request_to_end_ends_it_in_order(agent: Agent) -> None:
    with agent.channel() as channel:
        events = get_events(channel)
        assert agent.child is not None
        os.kill(agent.child, signal.SIGTERM)
        wait_until(lambda: agent.child is None)
        with pytest.raises(grpc.RpcError) as caught:
            next(events)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert agent.reports == []
    with agent.channel() as channel:
        call(channel, "FineGuidanceSensors/GetVersion", sensors_pb2.GetVersionRequest())
