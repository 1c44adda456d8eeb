# SPDX-License-Identifier: Apache-2.0
from typing import Any

import grpc
import pytest
from google.protobuf import struct_pb2
from google.protobuf.message_factory import GetMessageClass

from agent.api.about import DEPRECATED, PAGE, info_of
from agent.api.proto.tetragon import sensors_pb2 as pb
from tests.agent.api.support import SERVICES, Agent, call, process


def debug(channel: grpc.Channel, **request: Any) -> pb.GetDebugResponse:
    answer: pb.GetDebugResponse = call(channel, "FineGuidanceSensors/GetDebug", pb.GetDebugRequest(**request))
    return answer


def test_settings_arrive_in_their_own_types() -> None:
    settings = {"api.socket": "/s", "store.enabled": True, "log.queue_bytes": 1 << 40, "x": 0.5, "n": None}
    probes = [{"name": "exec:tp_btf", "enabled": True}]
    answer = info_of({"version": "1", "probes": probes, "settings": {**settings, "dirs": ["/a", "/b"]}})
    packed = {one.key: one.value.TypeName().rpartition(".")[2] for one in answer.conf}
    assert list(packed.values()) == [
        f"{kind}Value" for kind in ("String", "Bool", "Int64", "String", "String", "List")
    ]
    texts = struct_pb2.ListValue()
    answer.conf[-1].value.Unpack(texts)
    assert [one.string_value for one in texts.values] == ["/a", "/b"]
    assert (answer.probes[0].Name, answer.probes[0].Enabled.value) == ("exec:tp_btf", True)


def test_info_has_every_part_although_it_is_empty() -> None:
    assert info_of({"version": "1", "probes": [], "settings": {}}).HasField("build")


def test_info_is_the_agents(agent: Agent, channel: grpc.Channel) -> None:
    agent.told["info"] = {"version": "9", "probes": [], "settings": {}}
    answer = call(channel, "FineGuidanceSensors/GetInfo", pb.GetInfoRequest())
    assert (answer.version, answer.name) == ("9", "Tracehound")


@pytest.mark.parametrize("name", DEPRECATED)
def test_methods_about_sensors_say_that_they_are_over(channel: grpc.Channel, name: str) -> None:
    request = GetMessageClass(SERVICES["FineGuidanceSensors"].methods_by_name[name].input_type)()
    with pytest.raises(grpc.RpcError) as caught:
        call(channel, f"FineGuidanceSensors/{name}", request)
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.UNKNOWN, f"{name} is deprecated")


def test_the_level_of_messages_outlives_the_service(make_agent: Any) -> None:
    agent = make_agent(idle_s=0.4)
    with agent.channel() as channel:
        assert debug(channel).level == pb.LOG_LEVEL_WARN
        call(channel, "FineGuidanceSensors/SetDebug", pb.SetDebugRequest(level=pb.LOG_LEVEL_DEBUG))
        assert debug(channel).level == pb.LOG_LEVEL_DEBUG
    agent.end_of_child()
    with agent.channel() as channel:
        assert debug(channel).level == pb.LOG_LEVEL_DEBUG


def test_all_pages_of_processes_arrive(agent: Agent, channel: grpc.Channel) -> None:
    agent.processes = [process(pid) for pid in range(1, PAGE + 3)]
    answer = debug(channel, flag=pb.CONFIG_FLAG_DUMP_PROCESS_CACHE)
    assert [one.process.pid.value for one in answer.processes.processes] == list(range(1, PAGE + 3))


def test_processes_that_the_kernel_knows_can_be_left_out(agent: Agent, channel: grpc.Channel) -> None:
    agent.processes = [process(1)]
    dump = pb.DumpProcessCacheReqArgs(exclude_execve_map_processes=True)
    answer = debug(channel, flag=pb.CONFIG_FLAG_DUMP_PROCESS_CACHE, dump=dump)
    assert answer.WhichOneof("arg") == "processes" and not answer.processes.processes


def test_an_unknown_flag_is_refused(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError, match="unknown config flag 7"):
        debug(channel, flag=7)
    with pytest.raises(grpc.RpcError, match="change of unknown config flag 1"):
        call(
            channel,
            "FineGuidanceSensors/SetDebug",
            pb.SetDebugRequest(flag=pb.CONFIG_FLAG_DUMP_PROCESS_CACHE),
        )
