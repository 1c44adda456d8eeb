# SPDX-License-Identifier: Apache-2.0
"""A question to the agent on behalf of a client, and a refusal in gRPC's words."""

from __future__ import annotations

import json
from typing import Any

from grpclib.const import Status
from grpclib.exceptions import GRPCError
from grpclib.server import Stream

from agent.api.link import AgentLink, AgentSilent
from agent.api.wire import HINT, behind

CODES = {"unknown": Status.NOT_FOUND, "invalid": Status.INVALID_ARGUMENT}
"""Status by the `code` of a refusal; FAILED_PRECONDITION for every other."""


async def ask(
    agent: AgentLink, stream: Stream[Any, Any], request: str, answer_s: float = 0, /, **details: Any
) -> dict[str, Any]:
    """The agent's answer. Raises GRPCError: UNAVAILABLE when none comes, else what the agent says, with the
    way out in the metadata `tracehound-hint`. `answer_s`: how long it may take, in seconds (0: as usual)."""
    try:
        answer = await agent.ask(request, answer_s, **details)
    except AgentSilent:
        raise GRPCError(Status.UNAVAILABLE, "the agent does not answer") from None
    if "error" not in answer:
        return answer
    code = CODES.get(str(answer.get("code", "")), Status.FAILED_PRECONDITION)
    await refuse(stream, code, str(answer["error"]), str(answer.get("hint", "")))
    raise AssertionError  # `refuse` raises


async def refuse(stream: Stream[Any, Any], code: Status, message: str, hint: str) -> None:
    """Ends the call with a status, a message and the way out: in the metadata, and behind the message for
    clients that show nothing else. Raises GRPCError."""
    message += behind(hint)
    metadata = {HINT: json.dumps(hint)}
    await stream.send_trailing_metadata(status=code, status_message=message, metadata=metadata)
    raise GRPCError(code, message)
