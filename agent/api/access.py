# SPDX-License-Identifier: Apache-2.0
"""Who may change something: whoever may open the Unix socket, and over TCP whoever has shown a certificate.
All others may read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from grpclib.const import Status
from grpclib.exceptions import GRPCError
from grpclib.server import Stream

AnyStream = Stream[Any, Any]
Method = Callable[[AnyStream], Awaitable[None]]

CHANGES = frozenset(
    {
        "AddTracingPolicy",
        "DeleteTracingPolicy",
        "ConfigureTracingPolicy",
        "EnableTracingPolicy",
        "DisableTracingPolicy",
        "RuntimeHook",
        "SetDebug",
        "Reload",
    }
)
"""Methods that change what the agent does."""


def guarded(name: str, method: Method) -> Method:
    """The method, closed to strangers when it changes something."""
    if name not in CHANGES:
        return method

    async def guard(stream: AnyStream) -> None:
        if is_stranger(stream):
            raise GRPCError(
                Status.PERMISSION_DENIED,
                f"{name}: over TCP only clients with a certificate may change something; "
                "set api.tls.client_ca, or use the Unix socket",
            )
        await method(stream)

    return guard


def is_stranger(stream: AnyStream) -> bool:
    """Whether it came over TCP (its address is host and port) without a certificate that was verified."""
    peer = stream.peer
    return peer is None or (isinstance(peer.addr(), tuple) and not peer.cert())
