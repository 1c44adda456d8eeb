# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from agent.api.access import CHANGES
from agent.api.proto.tetragon import sensors_pb2 as pb
from tests.agent.api.support import SERVICES, Agent, call


def test_what_is_guarded_is_there() -> None:
    methods = {name for service in SERVICES.values() for name in service.methods_by_name}
    assert methods >= CHANGES


def test_what_is_not_guarded_only_tells() -> None:
    methods = {name for service in SERVICES.values() for name in service.methods_by_name} - CHANGES
    assert {name for name in methods if not name.startswith(("Get", "List"))} == {
        "EnableSensor",
        "DisableSensor",
        "RemoveSensor",
    }


def test_a_stranger_may_read_and_change_nothing(make_agent: Callable[..., Agent]) -> None:
    agent: Any = make_agent(listen="127.0.0.1:0")
    with grpc.insecure_channel(agent.socket.address) as channel:
        assert call(channel, "FineGuidanceSensors/GetVersion", pb.GetVersionRequest()).version == "1.2.3"
        with pytest.raises(grpc.RpcError, match="only clients with a certificate") as caught:
            call(channel, "FineGuidanceSensors/AddTracingPolicy", pb.AddTracingPolicyRequest(yaml="x"))
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert "policy_add" not in agent.asked
