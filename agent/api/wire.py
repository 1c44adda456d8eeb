# SPDX-License-Identifier: Apache-2.0
"""gRPC messages on a grpclib stream: limits on what comes in, batches of what goes out, our own metadata.

grpclib reads a request of any length and sends one HTTP/2 frame per message. Both are done here on the
stream below its public one, with the same framing (a zero byte, four bytes of length, the message):
https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from typing import Any, TypeVar

from google.protobuf.message import DecodeError, Message
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from grpclib.server import Stream

LONGEST_REQUEST = (2 << 20) + 4096
"""Bytes of a request; policies (YAML) are the longest."""
REQUEST_S = 10.0
"""How long a client may take to send its request, in seconds."""

EXPAND = "tracehound-expand"
"""Metadata of a request for events: `true` asks for the expanded form."""
RATE = "tracehound-rate"
"""Metadata of a request for events: most events in a second, a number above 0."""
MODE = "tracehound-mode"
"""Metadata of a request that adds a policy: `enforce` or `monitor`, above what the policy says."""
HINT = "tracehound-hint"
"""Metadata at the end of a call that failed: the way out, as a JSON string."""

_PREFIX = struct.Struct(">?I")
M = TypeVar("M", bound=Message)


def behind(hint: str) -> str:
    """What stands behind the message of a refusal, for clients that do not look at HINT."""
    return f"\nhint: {hint}" if hint else ""


async def read_request(stream: Stream[Any, Any], kind: type[M]) -> M:
    """The one message of a request. Raises GRPCError when there is none that fits."""
    try:
        async with asyncio.timeout(REQUEST_S):
            data = await _read_bytes(stream)
    except TimeoutError:
        raise GRPCError(Status.DEADLINE_EXCEEDED, f"no request came within {REQUEST_S:g} s") from None
    except AssertionError:  # grpclib's word for a stream that ended inside a message
        raise GRPCError(Status.INVALID_ARGUMENT, "the request ends inside its message") from None
    try:
        return kind.FromString(data)
    except DecodeError as error:
        raise GRPCError(Status.INVALID_ARGUMENT, f"not a {kind.DESCRIPTOR.full_name}: {error}") from None


async def read_requests(stream: Stream[Any, Any], kind: type[M]) -> AsyncIterator[M]:
    """The messages of a call that sends any number, at its own pace, until it ends. Raises GRPCError."""
    while prefix := await stream._stream.recv_data(_PREFIX.size):
        try:
            async with asyncio.timeout(REQUEST_S):
                data = await _read_body(stream, prefix)
            message = kind.FromString(data)
        except TimeoutError:
            raise GRPCError(Status.DEADLINE_EXCEEDED, f"no request came within {REQUEST_S:g} s") from None
        except DecodeError as error:
            raise GRPCError(Status.INVALID_ARGUMENT, f"not a {kind.DESCRIPTOR.full_name}: {error}") from None
        yield message


async def _read_bytes(stream: Stream[Any, Any]) -> bytes:
    prefix = await stream._stream.recv_data(_PREFIX.size)
    if not prefix:
        raise GRPCError(Status.INVALID_ARGUMENT, "a request has one message; this one has none")
    return await _read_body(stream, prefix)


async def _read_body(stream: Stream[Any, Any], prefix: bytes) -> bytes:
    compressed, length = _PREFIX.unpack(prefix)
    if compressed:
        raise GRPCError(Status.UNIMPLEMENTED, "compressed messages are not supported")
    if length > LONGEST_REQUEST:
        raise GRPCError(Status.RESOURCE_EXHAUSTED, f"a request has at most {LONGEST_REQUEST} bytes")
    return await stream._stream.recv_data(length)


def frame(message: bytes) -> bytes:
    """An encoded message with its prefix, ready for `send_frames`."""
    return _PREFIX.pack(False, len(message)) + message


async def send_frames(stream: Stream[Any, Any], frames: bytes) -> None:
    """Sends any number of framed messages at once; waits while the client does not take them.

    The initial metadata must have been sent.
    """
    await stream._stream.send_data(frames)
