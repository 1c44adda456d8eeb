# SPDX-License-Identifier: Apache-2.0
"""Container runtimes by the Container Runtime Interface: containerd, CRI-O, cri-dockerd.

Source: k8s.io/cri-api, pkg/apis/runtime/v1/api.proto; v1alpha2 has the same numbers in what is read here."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from grpclib.client import Channel, UnaryUnaryMethod
from grpclib.const import Status
from grpclib.encoding.base import CodecBase
from grpclib.exceptions import GRPCError

from agent.identity import wire
from agent.identity.docker import pod_of
from agent.identity.questions import Found, Question
from agent.identity.runtimes import SourceError
from agent.identity.text import IMAGE, clean, clean_map, without_empty

TIMEOUT_S = 2.0
"""For a request with its connection, in seconds."""
VERSIONS = ("v1", "v1alpha2")


class _Bytes(CodecBase):
    """Messages as they are."""

    __content_subtype__ = "proto"

    def encode(self, message: Any, message_type: Any) -> bytes:
        return bytes(message)

    def decode(self, data: bytes, message_type: Any) -> bytes:
        return data


class Cri:
    """One runtime behind its socket. Used by one thread."""

    name = "cri"

    def __init__(self, socket_path: str, timeout_s: float = TIMEOUT_S) -> None:
        self._path, self._timeout_s = socket_path, timeout_s
        self._versions = list(VERSIONS)
        self._channel: Channel | None = None
        self._loop = asyncio.new_event_loop()

    def find(self, question: Question) -> Found | None:
        """Raises SourceError."""
        return self._loop.run_until_complete(self._find(question.id))

    def close(self) -> None:
        """Ends the connection."""
        self._hang_up()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _find(self, id_: str) -> Found | None:
        request = wire.encode(1, id_)
        answer = await self._call("ContainerStatus", request)
        if answer is not None:
            status = wire.read(answer, _CONTAINER_ANSWER).get("status", {})
            return await self._with_pod(id_, status)
        answer = await self._call("PodSandboxStatus", request)
        if answer is None:
            return None
        sandbox = wire.read(answer, _SANDBOX_ANSWER).get("status", {})
        labels = sandbox.get("labels", {})
        return Found(self.name, {"id": id_}, _pod(labels, labels))

    async def _with_pod(self, id_: str, status: Mapping[str, Any]) -> Found:
        image = {
            "id": clean(status.get("image_ref"), IMAGE),
            "name": clean(status.get("image", {}).get("image"), IMAGE),
        }
        container = {
            "id": id_,
            "name": clean(status.get("metadata", {}).get("name")),
            "image": without_empty(image),
            "start_time": wire.as_time(status.get("started_at", 0)),
        }
        labels = status.get("labels", {})
        sandbox = await self._sandbox_of(id_) if pod_of(labels) else {}
        return Found(self.name, without_empty(container), _pod(labels, sandbox.get("labels", {})))

    async def _sandbox_of(self, id_: str) -> Mapping[str, Any]:
        """A pod's labels stand at its sandbox only."""
        listed = await self._call("ListContainers", wire.encode(1, wire.encode(1, id_)))
        sandbox = wire.read(listed or b"", _LIST).get("container", {}).get("pod_sandbox_id", "")
        answer = await self._call("PodSandboxStatus", wire.encode(1, sandbox)) if sandbox else None
        found: Mapping[str, Any] = wire.read(answer or b"", _SANDBOX_ANSWER).get("status", {})
        return found

    async def _call(self, method: str, request: bytes) -> bytes | None:
        """None: there is no such thing. The first version that the runtime speaks is kept."""
        for version in list(self._versions):
            try:
                async with asyncio.timeout(self._timeout_s):
                    answer = await self._ask(f"/runtime.{version}.RuntimeService/{method}", request)
            except GRPCError as error:
                if error.status is Status.UNIMPLEMENTED:
                    self._versions.remove(version)
                    continue
                if error.status is Status.NOT_FOUND or "not find" in (error.message or ""):
                    return None
                raise self._wrong(f"{error.status.name}: {clean(error.message, 300)}") from None
            except TimeoutError:
                self._hang_up()
                raise self._wrong(f"no answer within {self._timeout_s:g} s") from None
            except Exception as error:  # grpclib raises what it likes where no gRPC is spoken
                self._hang_up()
                raise self._wrong(f"{type(error).__name__}: {clean(str(error), 300)}") from None
            return answer
        self._versions = list(VERSIONS)  # another one may be started there
        raise self._wrong(f"speaks none of CRI {', '.join(VERSIONS)}")

    async def _ask(self, route: str, request: bytes) -> bytes:
        if self._channel is None:
            self._channel = Channel(path=self._path, codec=_Bytes())
        answer: bytes = await UnaryUnaryMethod(self._channel, route, bytes, bytes)(request)
        return answer

    def _wrong(self, text: str) -> SourceError:
        return SourceError(f"{self._path}: {text}")

    def _hang_up(self) -> None:
        if self._channel is not None:
            with suppress(OSError):
                self._channel.close()
            self._channel = None


def _pod(labels: Mapping[str, Any], of_sandbox: Mapping[str, Any]) -> dict[str, Any]:
    own = {key: value for key, value in of_sandbox.items() if not str(key).startswith("io.kubernetes.")}
    pod = pod_of(labels)
    return without_empty({**pod, "pod_labels": clean_map(own)}) if pod else {}


_LABELS = wire.Field("labels", "map")
_METADATA = {1: wire.Field("name", "text")}
_CONTAINER = {
    1: wire.Field("id", "text"),
    2: wire.Field("metadata", "message", _METADATA),
    5: wire.Field("started_at", "int"),
    8: wire.Field("image", "message", {1: wire.Field("image", "text")}),
    9: wire.Field("image_ref", "text"),
    12: _LABELS,
}
_CONTAINER_ANSWER = {1: wire.Field("status", "message", _CONTAINER)}
_SANDBOX = {1: wire.Field("id", "text"), 7: _LABELS}
_SANDBOX_ANSWER = {1: wire.Field("status", "message", _SANDBOX)}
_LIST = {1: wire.Field("container", "message", {2: wire.Field("pod_sandbox_id", "text")})}
