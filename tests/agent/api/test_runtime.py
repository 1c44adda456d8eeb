# SPDX-License-Identifier: Apache-2.0
import grpc
import pytest

from agent.api.proto.tetragon import tetragon_pb2 as pb
from tests.agent.api.support import Agent, call

CONTAINER = pb.CreateContainer(
    cgroupsPath="/kubepods/pod1/abc",
    containerID="abc",
    containerName="web",
    podUID="u",
    annotations={"a": "b"},
    mounts=[pb.Mount(type="bind", source="/s", destination="/d", options=["ro"])],
)


def hook(channel: grpc.Channel, container: pb.CreateContainer | None) -> None:
    call(channel, "FineGuidanceSensors/RuntimeHook", pb.RuntimeHookRequest(createContainer=container))


def test_the_agent_hears_of_a_container_before_it_starts(agent: Agent, channel: grpc.Channel) -> None:
    agent.told["runtime_hook"] = {"ok": True}
    hook(channel, CONTAINER)
    told = agent.questions[-1]["container"]
    assert (told["id"], told["name"], told["cgroup"], told["pod_uid"]) == (
        "abc",
        "web",
        "/kubepods/pod1/abc",
        "u",
    )
    assert told["annotations"] == {"a": "b"}
    assert told["mounts"] == [{"type": "bind", "source": "/s", "destination": "/d", "options": ["ro"]}]


def test_a_container_that_the_agent_refuses_is_refused(agent: Agent, channel: grpc.Channel) -> None:
    agent.told["runtime_hook"] = {"error": "not here", "hint": "elsewhere"}
    with pytest.raises(grpc.RpcError) as caught:
        hook(channel, CONTAINER)
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert caught.value.details() == "not here\nhint: elsewhere"


@pytest.mark.parametrize(
    ("container", "reason"),
    [
        (None, "holds no createContainer"),
        (pb.CreateContainer(containerID="abc"), "cgroupsPath is missing"),
        (pb.CreateContainer(cgroupsPath="/" + "x" * 5000), "cgroup is too long"),
        (pb.CreateContainer(cgroupsPath="/a", podName="a\0b"), "pod_name is too long or holds a NUL"),
    ],
)
def test_what_is_no_container_never_reaches_the_agent(
    agent: Agent, channel: grpc.Channel, container: pb.CreateContainer | None, reason: str
) -> None:
    with pytest.raises(grpc.RpcError, match=reason):
        hook(channel, container)
    assert agent.asked == []
