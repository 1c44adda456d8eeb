# SPDX-License-Identifier: Apache-2.0
"""`RuntimeHook`: the container run time says that a container is about to start.

The agent answers when its policies hold for the container's cgroup; the run time waits for that. What is
passed on is described in docs/containers.md.
"""

from __future__ import annotations

from typing import Any

from grpclib.const import Status
from grpclib.exceptions import GRPCError
from grpclib.server import Stream

from agent.api.asking import ask
from agent.api.link import AgentLink
from agent.api.proto.tetragon import tetragon_pb2
from agent.api.wire import read_request

LONGEST_TEXT = 4096
"""Characters of one text (PATH_MAX); longer ones are no container's."""


class RuntimeHook:
    """What becomes of the request."""

    def __init__(self, agent: AgentLink) -> None:
        self._agent = agent

    async def __call__(self, stream: Stream[Any, Any]) -> None:
        """An empty answer once the agent knows the container. Raises GRPCError when it does not take it."""
        request = await read_request(stream, tetragon_pb2.RuntimeHookRequest)
        if request.WhichOneof("event") != "createContainer":
            raise GRPCError(Status.INVALID_ARGUMENT, "the request holds no createContainer")
        await ask(self._agent, stream, "runtime_hook", container=container_of(request.createContainer))
        await stream.send_message(tetragon_pb2.RuntimeHookResponse())


def container_of(told: tetragon_pb2.CreateContainer) -> dict[str, Any]:
    """What the agent is told. Raises GRPCError when it is no container."""
    container: dict[str, Any] = {
        "id": told.containerID,
        "name": told.containerName,
        "image": told.containerImage,
        "cgroup": told.cgroupsPath,
        "root_dir": told.rootDir,
        "pod_name": told.podName,
        "pod_uid": told.podUID,
        "pod_namespace": told.podNamespace,
    }
    for name, text in container.items():
        if len(text) > LONGEST_TEXT or "\0" in text:
            raise GRPCError(Status.INVALID_ARGUMENT, f"{name} is too long or holds a NUL")
    if not container["cgroup"]:
        raise GRPCError(Status.INVALID_ARGUMENT, "cgroupsPath is missing: nothing could be told from it")
    container["annotations"] = dict(told.annotations)
    container["mounts"] = [
        {"type": one.type, "source": one.source, "destination": one.destination, "options": list(one.options)}
        for one in told.mounts
    ]
    return container
