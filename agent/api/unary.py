# SPDX-License-Identifier: Apache-2.0
"""One gRPC call over a unix socket, and its errors in the command line's words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from google.protobuf.message import Message
from grpclib.client import Channel, UnaryUnaryMethod
from grpclib.const import Status
from grpclib.exceptions import GRPCError, StreamTerminatedError

from agent.api.wire import HINT, behind
from agent.errors import AgentUnreachable, SettingsError, TracehoundError

M = TypeVar("M", bound=Message)


async def unary(
    socket: str,
    path: str,
    request: Message,
    answers: type[M],
    timeout_s: float,
    metadata: Mapping[str, str] | None = None,
) -> M:
    """The answer. Raises AgentUnreachable when none comes, TracehoundError when it is a refusal."""
    channel = Channel(path=socket)
    try:
        method = UnaryUnaryMethod(channel, path, type(request), answers)
        async with method.open(timeout=timeout_s, metadata=metadata) as stream:
            await stream.send_message(request, end=True)
            answer = await stream.recv_message()
            await stream.recv_trailing_metadata()
    except GRPCError as error:
        raise _refusal(error, stream.trailing_metadata or {}) from None
    except TimeoutError:
        raise AgentUnreachable(
            f"no answer within {timeout_s:g} s on {socket}", "is the agent's machine overloaded?"
        ) from None
    except (OSError, StreamTerminatedError, AttributeError) as error:
        # AttributeError is what grpclib 0.4 raises when the connection ends just before the call begins.
        raise AgentUnreachable(f"the connection to {socket} broke: {error}", "try again") from None
    finally:
        channel.close()
    assert isinstance(answer, answers)
    return answer


def _refusal(error: GRPCError, metadata: Mapping[str, Any]) -> TracehoundError:
    hint = json.loads(metadata.get(HINT, '""'))
    message = (error.message or "").removesuffix(behind(hint)) or error.status.name
    if error.status is Status.UNAVAILABLE:
        return AgentUnreachable(message, "see the agent's own messages")
    if error.status is Status.FAILED_PRECONDITION:  # the answer to Reload when the settings are wrong
        return SettingsError(message.splitlines(), hint)
    return TracehoundError(message, hint)
