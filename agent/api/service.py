# SPDX-License-Identifier: Apache-2.0
"""The services' methods. What has no method here is answered with UNIMPLEMENTED, by name."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass
from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError
from grpclib.server import Stream

from agent import __version__
from agent.api.about import About
from agent.api.access import guarded
from agent.api.asking import ask, refuse
from agent.api.feed import Wish
from agent.api.filters.events import EventFilter
from agent.api.filters.fields import FieldSelection
from agent.api.health import SILENT, Health, State, judge
from agent.api.link import AgentLink, AgentSilent
from agent.api.policies import CHANGE_S, TracingPolicies
from agent.api.proto.tetragon import events_pb2, sensors_pb2, tetragon_pb2
from agent.api.proto.tracehound import control_pb2
from agent.api.runtime import RuntimeHook
from agent.api.streams import Streams
from agent.api.wire import EXPAND, RATE, read_request
from agent.log.filters import Refused

log = logging.getLogger(__name__)

AnyStream = Stream[Any, Any]
Method = Callable[[AnyStream], Awaitable[None]]

_HEALTH = {
    State.OK: tetragon_pb2.HEALTH_STATUS_RUNNING,
    State.DEGRADED: tetragon_pb2.HEALTH_STATUS_RUNNING,  # the interface has no word for it; details say it
    State.STOPPED: tetragon_pb2.HEALTH_STATUS_STOPPED,
    State.FAILED: tetragon_pb2.HEALTH_STATUS_ERROR,
}


def mapping(service: ServiceDescriptor, methods: dict[str, Method]) -> dict[str, Handler]:
    """grpclib's table of a service: path -> handler, for every method that its description has."""
    return {
        f"/{service.full_name}/{method.name}": Handler(
            guarded(method.name, methods.get(method.name) or _unimplemented(method)),
            Cardinality.UNARY_STREAM if method.server_streaming else Cardinality.UNARY_UNARY,
            GetMessageClass(method.input_type),
            GetMessageClass(method.output_type),
        )
        for method in service.methods
    }


def _unimplemented(method: MethodDescriptor) -> Method:
    async def refuse(stream: AnyStream) -> None:
        raise GRPCError(Status.UNIMPLEMENTED, f"{method.name} is not implemented by Tracehound {__version__}")

    return refuse


class Observing:
    """`tetragon.FineGuidanceSensors`."""

    def __init__(self, agent: AgentLink, streams: Streams, deny_namespaces: Sequence[str] = ()) -> None:
        self._agent = agent
        self._deny_namespaces = deny_namespaces
        self._streams = streams
        self._policies = TracingPolicies(agent)

    def __mapping__(self) -> dict[str, Handler]:
        service = sensors_pb2.DESCRIPTOR.services_by_name["FineGuidanceSensors"]
        methods: dict[str, Method] = {
            "GetVersion": self.get_version,
            "GetHealth": self.get_health,
            "GetEvents": self.get_events,
            "RuntimeHook": RuntimeHook(self._agent),
            **self._policies.methods(),
            **About(self._agent).methods(),
        }
        return mapping(service, methods)

    async def get_version(self, stream: AnyStream) -> None:
        """The running agent's version; this process may already be a newer one."""
        await read_request(stream, sensors_pb2.GetVersionRequest)
        try:
            answer = await self._agent.ask("version")
        except AgentSilent:
            answer = {}
        version = str(answer.get("version", __version__))
        await stream.send_message(sensors_pb2.GetVersionResponse(version=version))

    async def get_health(self, stream: AnyStream) -> None:
        """One entry, whatever `event_set` asks for, as upstream answers it."""
        await read_request(stream, tetragon_pb2.GetHealthStatusRequest)
        health = await self.verdict()
        entry = tetragon_pb2.HealthStatus(
            event=tetragon_pb2.HEALTH_STATUS_TYPE_STATUS, status=_HEALTH[health.state], details=health.text
        )
        await stream.send_message(tetragon_pb2.GetHealthStatusResponse(health_status=[entry]))

    async def get_events(self, stream: AnyStream) -> None:
        """Events from now on, until the client leaves."""
        request = await read_request(stream, events_pb2.GetEventsRequest)
        try:
            wish = Wish(
                filter=EventFilter(request, self._deny_namespaces),
                fields=FieldSelection(request.field_filters),
                expanded=_asks_for_expansion(stream),
                per_s=_rate(stream),
            )
        except Refused as error:
            raise GRPCError(Status.INVALID_ARGUMENT, str(error)) from None
        await self._streams.serve(stream, wish)

    async def verdict(self) -> Health:
        """The agent's health, judged now."""
        try:
            status = await self._agent.ask("status")
        except AgentSilent:
            return SILENT
        if "error" in status:
            return Health(State.FAILED, [f"the agent cannot tell its status: {status['error']}"])
        try:
            return judge(status)
        except (AttributeError, KeyError, TypeError) as error:
            log.warning("a status that cannot be judged: %r", error)
            return Health(State.FAILED, ["the agent's status cannot be judged"])


class Control:
    """`tracehound.Control`."""

    def __init__(self, agent: AgentLink) -> None:
        self._agent = agent

    def __mapping__(self) -> dict[str, Handler]:
        service = control_pb2.DESCRIPTOR.services_by_name["Control"]
        methods: dict[str, Method] = {
            "GetStatus": self.get_status,
            "Reload": self.reload,
            "ListPolicies": self.list_policies,
        }
        return mapping(service, methods)

    async def get_status(self, stream: AnyStream) -> None:
        """The agent's own words."""
        await read_request(stream, control_pb2.GetStatusRequest)
        await stream.send_message(control_pb2.GetStatusResponse(json=await self._ask(stream, "status")))

    async def reload(self, stream: AnyStream) -> None:
        """Fails with FAILED_PRECONDITION when the new settings are wrong."""
        await read_request(stream, control_pb2.ReloadRequest)
        await stream.send_message(
            control_pb2.ReloadResponse(json=await self._ask(stream, "reload", CHANGE_S))
        )

    async def list_policies(self, stream: AnyStream) -> None:
        """More than ListTracingPolicies has words for."""
        await read_request(stream, control_pb2.ListPoliciesRequest)
        await stream.send_message(control_pb2.ListPoliciesResponse(json=await self._ask(stream, "policies")))

    async def _ask(self, stream: AnyStream, request: str, answer_s: float = 0) -> bytes:
        answer = await ask(self._agent, stream, request, answer_s)
        if answer.get("ok") is False:  # it found problems and left all as it was
            problems = "\n".join(map(str, answer.get("problems") or ["refused without a reason"]))
            await refuse(stream, Status.FAILED_PRECONDITION, problems, str(answer.get("hint", "")))
        return json.dumps(answer).encode()


def _asks_for_expansion(stream: AnyStream) -> bool:
    value = stream.metadata.get(EXPAND, "false") if stream.metadata is not None else "false"
    if value not in ("true", "false"):
        raise Refused(f"metadata {EXPAND}: {value!r} is neither true nor false")
    return value == "true"


def _rate(stream: AnyStream) -> float:
    value = str(stream.metadata.get(RATE, "")) if stream.metadata is not None else ""
    try:
        rate = float(value or 0)
    except ValueError:
        rate = -1.0
    if not 0 <= rate < float("inf") or (value and not rate):
        raise Refused(f"metadata {RATE}: {value!r} is not a number of events per second above 0")
    return rate
