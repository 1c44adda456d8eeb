# SPDX-License-Identifier: Apache-2.0
"""The command line's way to the agent: one call at a time, synchronous.

Whoever needs an event stream uses any gRPC client; the command line reads the log itself.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from agent.errors import AgentUnreachable

if TYPE_CHECKING:
    from google.protobuf.descriptor import MethodDescriptor
    from google.protobuf.message import Message

    M = TypeVar("M", bound=Message)

TIMEOUT_S = 15.0
"""How long a call may take, in seconds; the service may have to be started first."""

_START = "start it with `tracehound run`, or pass the socket of a running agent with --socket"
_CAUSES = {
    errno.ENOENT: ("there is no such socket", _START),
    errno.ENOTDIR: ("there is no such socket", _START),
    errno.ECONNREFUSED: ("the socket is there, but the agent that made it is gone", _START),
    errno.EACCES: ("permission denied", "run as root, or join the socket's group"),
    errno.EPERM: ("permission denied", "run as root, or join the socket's group"),
    errno.EAGAIN: ("too many clients wait already", "try again; see `tracehound status` on the node"),
}


class AgentClient:
    """Asks the agent behind a control socket. Every method raises AgentUnreachable or TracehoundError."""

    def __init__(self, path: str, timeout_s: float = TIMEOUT_S) -> None:
        self.path = path
        self.timeout_s = timeout_s

    def status(self) -> dict[str, Any]:
        """The agent's state in its own words."""
        from agent.api.proto.tracehound import control_pb2

        return self._control("GetStatus", control_pb2.GetStatusRequest(), control_pb2.GetStatusResponse)

    def reload(self) -> dict[str, Any]:
        """Makes the agent read its settings again; raises SettingsError when they are wrong."""
        from agent.api.proto.tracehound import control_pb2

        return self._control("Reload", control_pb2.ReloadRequest(), control_pb2.ReloadResponse)

    def policies(self) -> dict[str, Any]:
        """All policies, and files that hold none: agent.policy.listed."""
        from agent.api.proto.tracehound import control_pb2

        return self._control(
            "ListPolicies", control_pb2.ListPoliciesRequest(), control_pb2.ListPoliciesResponse
        )

    def add_policy(self, text: str, mode: str = "") -> None:
        """Loads what a text holds. Raises TracehoundError with every problem."""
        from agent.api.proto.tetragon import sensors_pb2 as pb
        from agent.api.wire import MODE

        request = pb.AddTracingPolicyRequest(yaml=text)
        self.call("AddTracingPolicy", request, pb.AddTracingPolicyResponse, {MODE: mode} if mode else {})

    def delete_policy(self, name: str, namespace: str = "") -> None:
        """Raises TracehoundError when it is not there."""
        from agent.api.proto.tetragon import sensors_pb2 as pb

        request = pb.DeleteTracingPolicyRequest(name=name, namespace=namespace)
        self.call("DeleteTracingPolicy", request, pb.DeleteTracingPolicyResponse)

    def configure_policy(
        self, name: str, namespace: str = "", *, enable: bool | None = None, mode: str = ""
    ) -> None:
        """Switches a policy on or off, and its mode (`enforce`, `monitor`)."""
        from agent.api.proto.tetragon import sensors_pb2 as pb

        word = f"TP_MODE_{mode.upper()}" if mode else None
        request = pb.ConfigureTracingPolicyRequest(name=name, namespace=namespace, enable=enable, mode=word)
        self.call("ConfigureTracingPolicy", request, pb.ConfigureTracingPolicyResponse)

    def version(self) -> str:
        """The running agent's version."""
        from agent.api.proto.tetragon import sensors_pb2

        answer = self.call("GetVersion", sensors_pb2.GetVersionRequest(), sensors_pb2.GetVersionResponse)
        return answer.version

    def health(self) -> tuple[str, str]:
        """Name of the health (`HEALTH_STATUS_RUNNING`) and its details."""
        from agent.api.proto.tetragon import tetragon_pb2

        request = tetragon_pb2.GetHealthStatusRequest()
        answer = self.call("GetHealth", request, tetragon_pb2.GetHealthStatusResponse)
        found = answer.health_status[0]
        return tetragon_pb2.HealthStatusResult.Name(found.status), found.details

    def call(
        self, method: str, request: Message, answers: type[M], metadata: Mapping[str, str] | None = None
    ) -> M:
        """Any unary method of `tetragon.FineGuidanceSensors`."""
        from agent.api.proto.tetragon import sensors_pb2

        service = sensors_pb2.DESCRIPTOR.services_by_name["FineGuidanceSensors"]
        return self._call(service.methods_by_name[method], request, answers, metadata)

    def _control(self, method: str, request: Message, answers: type[Any]) -> dict[str, Any]:
        import orjson

        from agent.api.proto.tracehound import control_pb2

        service = control_pb2.DESCRIPTOR.services_by_name["Control"]
        answer = self._call(service.methods_by_name[method], request, answers)
        found: dict[str, Any] = orjson.loads(answer.json)
        return found

    def _call(
        self,
        method: MethodDescriptor,
        request: Message,
        answers: type[M],
        metadata: Mapping[str, str] | None = None,
    ) -> M:
        self._knock()
        import asyncio

        from agent.api.unary import unary

        path = f"/{method.containing_service.full_name}/{method.name}"
        return asyncio.run(unary(self.path, path, request, answers, self.timeout_s, metadata))

    def _knock(self) -> None:
        """Tells why nobody can be reached, before anything costly is loaded."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knocking:
            knocking.settimeout(self.timeout_s)
            try:
                knocking.connect(os.fspath(self.path))
            except OSError as error:
                cause, hint = _CAUSES.get(error.errno or 0, (str(error), _START))
                raise AgentUnreachable(f"no agent answers on {self.path}: {cause}", hint) from None
