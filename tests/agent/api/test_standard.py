# SPDX-License-Identifier: Apache-2.0
"""Health and reflection, asked as any gRPC client asks them."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpclib.health.v1 import health_pb2
from grpclib.reflection.v1 import reflection_pb2

from tests.agent.api.support import Agent

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
BLIND = {"programs": [{"name": "exec", "attached": False}]}


def check(channel: grpc.Channel, service: str = "") -> int:
    request, answer = health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse
    method = channel.unary_unary("/grpc.health.v1.Health/Check", request.SerializeToString, answer.FromString)
    return int(method(request(service=service), timeout=20).status)


def reflect(channel: grpc.Channel, version: str, *requests: Any) -> Iterator[Any]:
    path = f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
    request, answer = reflection_pb2.ServerReflectionRequest, reflection_pb2.ServerReflectionResponse
    method = channel.stream_stream(path, request.SerializeToString, answer.FromString)
    found: Iterator[Any] = method(iter(requests), timeout=20)
    return found


@pytest.mark.parametrize(
    "service", ["", "liveness", "readiness", "tetragon.FineGuidanceSensors", "tracehound.Control"]
)
def test_a_healthy_agent_serves(channel: grpc.Channel, service: str) -> None:
    assert check(channel, service) == SERVING


def test_an_agent_that_lost_something_serves_all_the_same(agent: Agent, channel: grpc.Channel) -> None:
    agent.status = {"lost_recent": {"ring_full": 3}}
    assert (check(channel, "liveness"), check(channel, "readiness")) == (SERVING, SERVING)


def test_an_agent_that_sees_nothing_is_neither_alive_nor_ready(agent: Agent, channel: grpc.Channel) -> None:
    agent.status = BLIND
    assert (check(channel, "liveness"), check(channel, "readiness")) == (NOT_SERVING, NOT_SERVING)


def test_an_agent_that_stops_is_alive_but_not_ready(agent: Agent, channel: grpc.Channel) -> None:
    agent.status = {"state": "stopping"}
    assert (check(channel, "liveness"), check(channel, "readiness")) == (SERVING, NOT_SERVING)


def test_a_name_that_is_not_there_is_not_found(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        check(channel, "nobody")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_watcher_is_told_when_health_changes(agent: Agent, channel: grpc.Channel) -> None:
    request, answer = health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse
    method = channel.unary_stream(
        "/grpc.health.v1.Health/Watch", request.SerializeToString, answer.FromString
    )
    check(channel)  # the first answer of a watch is what was found last
    changes = method(request(), timeout=20)
    assert next(changes).status == SERVING
    agent.status = BLIND
    assert next(changes).status == NOT_SERVING
    changes.cancel()


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_services_and_their_descriptions_can_be_asked_for(channel: grpc.Channel, version: str) -> None:
    names = reflection_pb2.ServerReflectionRequest(list_services="*")
    symbol = reflection_pb2.ServerReflectionRequest(file_containing_symbol="tetragon.FineGuidanceSensors")
    listed, described = reflect(channel, version, names, symbol)
    served = {one.name for one in listed.list_services_response.service}
    assert {"tetragon.FineGuidanceSensors", "tracehound.Control", "grpc.health.v1.Health"} <= served
    (file,) = described.file_descriptor_response.file_descriptor_proto
    assert FileDescriptorProto.FromString(file).name == "tetragon/sensors.proto"


def test_a_request_that_is_none_ends_its_call_only(channel: grpc.Channel) -> None:
    path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
    raw = channel.stream_stream(path, None, None)
    with pytest.raises(grpc.RpcError, match=r"not a grpc.reflection.v1.ServerReflectionRequest"):
        list(raw(iter([b"\xff\xff"]), timeout=20))
    assert check(channel) == SERVING
