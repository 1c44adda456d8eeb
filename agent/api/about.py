# SPDX-License-Identifier: Apache-2.0
"""The methods of `tetragon.FineGuidanceSensors` about the agent itself: what it is, its level of messages,
the processes that it knows. Sensors of their own do not exist here; upstream, too, only says so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from google.protobuf import struct_pb2, wrappers_pb2
from google.protobuf.message import Message
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from grpclib.server import Stream

from agent.api.asking import ask
from agent.api.convert import to_message
from agent.api.levels import LEVELS, level_name, set_level
from agent.api.link import AgentLink
from agent.api.proto.tetragon import sensors_pb2 as pb
from agent.api.proto.tetragon import tetragon_pb2
from agent.api.wire import read_request

AnyStream = Stream[Any, Any]
Method = Callable[[AnyStream], Awaitable[None]]

NAME = "Tracehound"
DEPRECATED = ("ListSensors", "EnableSensor", "DisableSensor", "RemoveSensor")
"""Methods whose only answer is that they are deprecated, with the status UNKNOWN, as upstream's
(pkg/server/server.go there)."""
PAGE = 500
"""Processes that the agent tells at a time, so that its loop is not held up."""


class About:
    """What becomes of these requests."""

    def __init__(self, agent: AgentLink) -> None:
        self._agent = agent

    def methods(self) -> dict[str, Method]:
        """By the names of the service's description."""
        methods: dict[str, Method] = {
            "GetInfo": self.get_info,
            "GetDebug": self.get_debug,
            "SetDebug": self.set_debug,
        }
        return {**methods, **{name: _deprecated(name) for name in DEPRECATED}}

    async def get_info(self, stream: AnyStream) -> None:
        """Version, programs that should be attached, and all settings."""
        await read_request(stream, pb.GetInfoRequest)
        await stream.send_message(info_of(await ask(self._agent, stream, "info")))

    async def get_debug(self, stream: AnyStream) -> None:
        """The level of messages, or the processes that the agent knows."""
        request = await read_request(stream, pb.GetDebugRequest)
        answer = pb.GetDebugResponse(flag=request.flag)
        if request.flag == pb.CONFIG_FLAG_LOG_LEVEL:
            answer.level = LEVELS[level_name()]
        elif request.flag == pb.CONFIG_FLAG_DUMP_PROCESS_CACHE:
            answer.processes.SetInParent()
            if not request.dump.exclude_execve_map_processes:  # the kernel knows every process that we keep
                answer.processes.processes.extend(await self._processes(stream))
        else:
            raise GRPCError(Status.UNKNOWN, f"unknown config flag {request.flag}")
        await stream.send_message(answer)

    async def set_debug(self, stream: AnyStream) -> None:
        """The level of the service's messages, kept until the agent ends."""
        request = await read_request(stream, pb.SetDebugRequest)
        if request.flag != pb.CONFIG_FLAG_LOG_LEVEL:
            raise GRPCError(Status.UNKNOWN, f"change of unknown config flag {request.flag}")
        name = next((name for name, number in LEVELS.items() if number == request.level), "info")
        await ask(self._agent, stream, "log_level", level=name)
        set_level(name)
        await stream.send_message(pb.SetDebugResponse(flag=request.flag, level=request.level))

    async def _processes(self, stream: AnyStream) -> list[pb.ProcessInternal]:
        """All living ones, once each although they come and go between two pages."""
        found: dict[str, Any] = {}
        offset = 0
        while True:
            page = await ask(self._agent, stream, "processes", offset=offset, limit=PAGE)
            found.update((one["exec_id"], one) for one in page["processes"])
            offset += PAGE
            if not page["more"]:
                break
        process = tetragon_pb2.Process
        return [pb.ProcessInternal(process=to_message(process, one), color="inUse") for one in found.values()]


def info_of(told: Mapping[str, Any]) -> pb.GetInfoResponse:
    """The agent's answer to `info` in the published words. Empty parts are there all the same: upstream's
    client reads them without looking (pkg/tetragoninfo/info.go there)."""
    answer = pb.GetInfoResponse(version=told["version"], name=NAME, build=pb.GetInfoResponse.BuildInfo())
    for probe in told["probes"]:
        answer.probes.add(Name=probe["name"]).Enabled.value = probe["enabled"]
    for key, value in told["settings"].items():
        answer.conf.add(key=key).value.Pack(_wrapped(value))
    return answer


def _wrapped(value: Any) -> Message:
    """In one of the four types that upstream's client knows."""
    if isinstance(value, bool):
        return wrappers_pb2.BoolValue(value=value)
    if isinstance(value, int):
        return wrappers_pb2.Int64Value(value=value)
    if isinstance(value, list):
        texts = [struct_pb2.Value(string_value=str(one)) for one in value]
        return struct_pb2.ListValue(values=texts)
    return wrappers_pb2.StringValue(value="" if value is None else str(value))


def _deprecated(name: str) -> Method:
    async def refuse(stream: AnyStream) -> None:
        raise GRPCError(Status.UNKNOWN, f"{name} is deprecated")

    return refuse
