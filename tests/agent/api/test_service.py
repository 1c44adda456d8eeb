# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from agent.api.proto.tetragon import events_pb2, sensors_pb2, tetragon_pb2
from agent.api.proto.tracehound import control_pb2
from tests.agent.api.support import SERVICES, Agent, Log, call, get_events, pids, process


def health(channel: grpc.Channel) -> tuple[str, str]:
    answer = call(channel, "FineGuidanceSensors/GetHealth", tetragon_pb2.GetHealthStatusRequest())
    (found,) = answer.health_status
    assert found.event == tetragon_pb2.HEALTH_STATUS_TYPE_STATUS
    return tetragon_pb2.HealthStatusResult.Name(found.status), found.details


def failure(action: Any) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        action()
    return caught.value


def test_the_version_is_that_of_the_running_agent(channel: grpc.Channel) -> None:
    answer = call(channel, "FineGuidanceSensors/GetVersion", sensors_pb2.GetVersionRequest())
    assert answer.version == "1.2.3"


def test_a_healthy_agent_is_running(channel: grpc.Channel) -> None:
    assert health(channel) == ("HEALTH_STATUS_RUNNING", "running")


def test_a_degraded_agent_runs_and_says_why(agent: Agent, channel: grpc.Channel) -> None:
    agent.status = {"lost_recent": {"ring_full": 3}}
    assert health(channel) == (
        "HEALTH_STATUS_RUNNING",
        "degraded: events lost in the last minute: 3 by ring_full",
    )


def test_an_agent_that_sees_nothing_is_in_error(agent: Agent, channel: grpc.Channel) -> None:
    agent.status = {"programs": [{"name": "exec", "attached": False}]}
    assert health(channel) == ("HEALTH_STATUS_ERROR", "failed: no program is attached")


def test_an_agent_that_does_not_answer_is_in_error(agent: Agent, channel: grpc.Channel) -> None:
    health(channel)
    agent.delay_s = 5
    assert health(channel) == ("HEALTH_STATUS_ERROR", "failed: the agent does not answer")


def test_a_status_that_makes_no_sense_is_an_error_not_a_crash(agent: Agent, channel: grpc.Channel) -> None:
    agent.status = {"programs": "all"}
    assert health(channel)[0] == "HEALTH_STATUS_ERROR"


@pytest.mark.parametrize("name", SERVICES["FineGuidanceSensors"].methods_by_name)
def test_every_method_of_the_interface_is_there(channel: grpc.Channel, name: str) -> None:
    from google.protobuf.message_factory import GetMessageClass

    if name == "GetEvents":
        get_events(channel).cancel()
        return
    request = GetMessageClass(SERVICES["FineGuidanceSensors"].methods_by_name[name].input_type)()
    try:
        call(channel, f"FineGuidanceSensors/{name}", request)
    except grpc.RpcError as error:
        assert error.code() is not grpc.StatusCode.UNIMPLEMENTED


def test_the_status_arrives_as_the_agent_words_it(agent: Agent, channel: grpc.Channel) -> None:
    agent.status = {"state": "running", "events": 7}
    answer = call(channel, "Control/GetStatus", control_pb2.GetStatusRequest())
    assert answer.json == b'{"state": "running", "events": 7}'


def test_a_reload_that_fails_carries_the_way_out(channel: grpc.Channel) -> None:
    error = failure(lambda: call(channel, "Control/Reload", control_pb2.ReloadRequest()))
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert error.details() == "3 problems in tracehound.yaml\nhint: correct them – all"
    assert dict(error.trailing_metadata())["tracehound-hint"] == '"correct them \\u2013 all"'


def test_events_come_from_now_on_without_our_own_records(log: Log, channel: grpc.Channel) -> None:
    log.exec(10)
    events = get_events(channel)
    log.own("heartbeat", {"events": 1})
    log.exec(11, arguments="-l /tmp")
    event = next(events)
    assert event.process_exec.process.arguments == "-l /tmp"
    assert event.process_exec.process.pid.value == 11
    assert event.process_exec.parent.binary == "/bin/sh"
    assert (event.node_name, event.time.nanos) == ("n1", 1)


def test_a_stream_goes_on_in_the_next_segment(log: Log, channel: grpc.Channel) -> None:
    events = get_events(channel)
    log.exec(1)
    log.rotate()
    log.exec(2)
    log.rotate()
    log.exec(3)
    assert pids(events, 3) == [1, 2, 3]


def test_only_events_that_are_allowed_and_not_denied_come(log: Log, channel: grpc.Channel) -> None:
    events = get_events(
        channel,
        allow_list=[events_pb2.Filter(binary_regex=["^/usr/bin/"]), events_pb2.Filter(pid=[7])],
        deny_list=[events_pb2.Filter(arguments_regex=["--help"])],
    )
    log.exec(5, binary="/bin/true")
    log.exec(6, binary="/usr/bin/id", arguments="--help")
    log.exec(7, binary="/bin/true")
    log.exec(8, binary="/usr/bin/id")
    assert pids(events, 2) == [7, 8]


def test_nobody_gets_what_the_agents_settings_deny(log: Log, make_agent: Callable[..., Agent]) -> None:
    with make_agent(deny_namespaces=("kube-*",)).channel() as channel:
        events = get_events(channel)
        log.exec(5, pod={"namespace": "kube-system", "name": "proxy"})
        log.exec(6, pod={"namespace": "shop", "name": "web"})
        assert pids(events, 1) == [6]


def test_a_filter_that_is_not_valid_is_refused_by_name(channel: grpc.Channel) -> None:
    events = get_events(
        channel, begun=False, allow_list=[events_pb2.Filter(), events_pb2.Filter(cel_expression=["1"])]
    )
    error = failure(lambda: next(events))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error.details() == "allow_list[1].cel_expression: is not true or false but INT: '1'"


def test_an_expression_chooses_events(log: Log, channel: grpc.Channel) -> None:
    wanted = events_pb2.Filter(cel_expression=["process_exec.process.pid > 5"])
    events = get_events(channel, allow_list=[wanted])
    for pid in (4, 7):
        log.exec(pid)
    assert pids(events, 1) == [7]


def test_an_expression_without_end_ends_its_own_stream_only(log: Log, channel: grpc.Channel) -> None:
    numbers = str(list(range(200)))
    endless = f"process_exec.process.pid > 0 && {numbers}.all(x, {numbers}.all(y, true))"
    events = get_events(channel, allow_list=[events_pb2.Filter(cel_expression=[endless])])
    others = get_events(channel)
    log.exec(5)
    assert failure(lambda: next(events)).code() is grpc.StatusCode.INVALID_ARGUMENT
    assert pids(others, 1) == [5]


def test_a_client_chooses_the_fields_it_gets(log: Log, channel: grpc.Channel) -> None:
    wanted = events_pb2.FieldFilter(fields={"paths": ["process.binary"]}, action=events_pb2.INCLUDE)
    events = get_events(channel, field_filters=[wanted])
    log.exec(9)
    event = next(events)
    assert event.process_exec == tetragon_pb2.ProcessExec(process={"binary": "/bin/ls"})
    assert event.node_name == "n1"


def test_aggregation_is_accepted_and_changes_nothing(log: Log, channel: grpc.Channel) -> None:
    events = get_events(
        channel, aggregation_options={"window_size": {"seconds": 1}, "channel_buffer_size": 5}
    )
    log.exec(9)
    assert pids(events, 1) == [9]


def test_the_expanded_form_comes_when_it_is_asked_for(log: Log, channel: grpc.Channel) -> None:
    log.exec(20, own={"cap": {"effective": "0000000000000001"}, "cred": [1, 2, 3, 4, 5, 6, 7, 8]})
    events = get_events(channel, expand=True)
    log.exec(21, parent=20, ancestry=(20, 1))
    event = next(events).process_exec
    assert event.parent.process_credentials.gid.value == 2
    assert list(event.parent.cap.effective) == [0]
    assert event.process.ns.mnt.is_host


def test_a_filter_on_capabilities_works_without_the_expanded_form(log: Log, channel: grpc.Channel) -> None:
    wanted = events_pb2.Filter(capabilities={"effective": {"any": ["CAP_SYS_ADMIN"]}})
    events = get_events(channel, allow_list=[wanted])
    log.exec(30)
    log.exec(31, own={"cap": {"effective": "0000000000200000"}})
    event = next(events).process_exec
    assert event.process.pid.value == 31
    assert not event.process.HasField("cap")


@pytest.mark.parametrize(
    "wanted",
    [{"parent_binary_regex": ["^/opt/a$"]}, {"pid_set": [39]}, {"parent_arguments_regex": ["^-x$"]}],
)
def test_an_event_that_was_written_without_its_family_is_judged_with_it(
    log: Log, channel: grpc.Channel, wanted: dict[str, Any]
) -> None:
    log.exec(39, binary="/opt/z")
    log.exec(40, parent=39, ancestry=(39, 1), binary="/opt/a", arguments="-x")
    log.exec(41, parent=40, ancestry=(40, 39, 1))
    events = get_events(channel, allow_list=[events_pb2.Filter(**wanted)])
    log.event("process_exit", {"process": process(5)})
    log.event("process_exit", {"process": process(41, 40)})
    event = next(events).process_exit
    assert event.process.pid.value == 41
    assert not event.HasField("parent"), "what is sent stays as it was written"


def test_metadata_that_is_neither_true_nor_false_is_refused(channel: grpc.Channel) -> None:
    stream = channel.unary_stream(
        "/tetragon.FineGuidanceSensors/GetEvents",
        events_pb2.GetEventsRequest.SerializeToString,
        events_pb2.GetEventsResponse.FromString,
    )
    error = failure(
        lambda: next(stream(events_pb2.GetEventsRequest(), metadata=[("tracehound-expand", "1")]))
    )
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "tracehound-expand" in error.details()


def test_every_recorded_kind_of_event_can_be_streamed(log: Log, channel: grpc.Channel) -> None:
    kinds = ["process_kprobe", "process_tracepoint", "process_lsm", "process_uprobe", "process_loader"]
    events = get_events(channel)
    for kind in kinds:
        log.event(kind, {"process": process(5)})
    assert [next(events).WhichOneof("event") for _ in kinds] == kinds


def test_a_client_gets_no_more_than_it_wants_and_is_told_the_rest(log: Log, channel: grpc.Channel) -> None:
    events = get_events(channel, rate="10")
    log.execs(range(1, 41))
    assert pids(events, 10) == list(range(1, 11))
    assert next(events).rate_limit_info.number_of_dropped_process_events == 30


@pytest.mark.parametrize("rate", ["0", "-1", "inf", "nan", "many"])
def test_a_rate_that_is_none_is_refused(channel: grpc.Channel, rate: str) -> None:
    error = failure(lambda: next(get_events(channel, begun=False, rate=rate)))
    assert (
        error.details() == f"metadata tracehound-rate: {rate!r} is not a number of events per second above 0"
    )


def test_a_method_that_nobody_knows_is_named(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/tetragon.EventLogService/GetEventLogParams")(b"", timeout=20)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert caught.value.details() == "unknown method /tetragon.EventLogService/GetEventLogParams"
