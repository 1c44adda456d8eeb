# SPDX-License-Identifier: Apache-2.0
"""The services that every gRPC server is expected to have: `grpc.health.v1` and reflection. Both are
grpclib's; here is what they are asked about, and limits on the requests.

https://github.com/grpc/grpc/blob/master/doc/health-checking.md
https://github.com/grpc/grpc/blob/master/doc/server-reflection.md
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Any

from grpclib.const import Handler
from grpclib.health.check import ServiceCheck
from grpclib.health.service import OVERALL, Health
from grpclib.reflection.service import ServerReflection
from grpclib.server import Stream

from agent.api.health import Health as Verdict
from agent.api.health import State
from agent.api.wire import read_request, read_requests

Ask = Callable[[], Awaitable[Verdict]]

FRESH_S = 1.0
"""How long an answer about health is given again, in seconds: a crowd of probes is one question."""
LIVENESS, READINESS = "liveness", "readiness"
"""Names besides those of the services; the first is upstream's."""


class _Named:
    """A name to ask for that is no service."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __mapping__(self) -> dict[str, Any]:
        return {f"/{self._name}/": None}


def health(ask: Ask, services: Collection[Any]) -> Any:
    """`grpc.health.v1.Health`: `liveness` fails when the agent does not answer or sees nothing, `readiness`
    and the services also while it stops. A degraded agent serves: who restarts it loses more."""

    async def lives() -> bool:
        return (await ask()).state is not State.FAILED

    async def serves() -> bool:
        return (await ask()).state in (State.OK, State.DEGRADED)

    live, ready = (ServiceCheck(check, check_ttl=FRESH_S) for check in (lives, serves))
    about: dict[Any, list[ServiceCheck]] = {service: [ready] for service in services}
    about |= {OVERALL: [ready], _Named(LIVENESS): [live], _Named(READINESS): [ready]}
    return _Bounded(Health(about))


def reflection(services: Collection[Any]) -> list[Any]:
    """Both versions of the reflection service, about themselves, too."""
    return [_Bounded(one) for one in ServerReflection.extend(list(services))[len(services) :]]


class _Bounded:
    """A service whose requests are read with this service's limits."""

    def __init__(self, service: Any) -> None:
        self._service = service

    def __mapping__(self) -> dict[str, Handler]:
        return {path: _bounded(handler) for path, handler in self._service.__mapping__().items()}


def _bounded(handler: Handler) -> Handler:
    async def serve(stream: Stream[Any, Any]) -> None:
        await handler.func(_Reading(stream, handler.request_type))

    return Handler(serve, handler.cardinality, handler.request_type, handler.reply_type)


class _Reading:
    """The part of grpclib's stream that its services use."""

    def __init__(self, stream: Stream[Any, Any], kind: Any) -> None:
        self._stream = stream
        self._kind = kind
        self.send_message = stream.send_message
        self.send_trailing_metadata = stream.send_trailing_metadata

    async def recv_message(self) -> Any:
        return await read_request(self._stream, self._kind)

    def __aiter__(self) -> Any:
        return read_requests(self._stream, self._kind)
