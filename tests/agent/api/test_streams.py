# SPDX-License-Identifier: Apache-2.0
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest

from agent.api.proto.tetragon import events_pb2, sensors_pb2
from tests.agent.api.support import Agent, Log, call, get_events, pids, wait_until


def resident_kib(pid: int | None) -> int:
    (line,) = (x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if x.startswith("VmRSS"))
    return int(line.split()[1])


def test_forty_clients_each_get_every_event(make_agent: Callable[..., Agent], log: Log) -> None:
    agent = make_agent(max_clients=40)
    with ExitStack() as stack:
        channels = [stack.enter_context(agent.channel()) for _ in range(40)]
        streams = [get_events(channel) for channel in channels]
        log.execs(range(1, 301))
        found = [pids(stream, 300) for stream in streams]
    assert found == [list(range(1, 301))] * 40


def test_one_stream_too_many_is_refused_and_harms_nobody(make_agent: Callable[..., Agent], log: Log) -> None:
    agent = make_agent(max_clients=3)
    with agent.channel() as channel:
        streams = [get_events(channel) for _ in range(3)]
        with pytest.raises(grpc.RpcError) as caught:
            next(get_events(channel, begun=False))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "api.max_clients" in caught.value.details()
        log.exec(5)
        assert [pids(stream, 1) for stream in streams] == [[5]] * 3
        streams[0].cancel()
        wait_until(lambda: opens(agent))


def opens(agent: Agent) -> bool:
    try:
        with agent.channel() as channel:
            get_events(channel, begun=False).initial_metadata()
            events = get_events(channel, begun=False)
            threading.Timer(0.3, events.cancel).start()
            next(events)
    except grpc.RpcError as error:
        return error.code() is grpc.StatusCode.CANCELLED
    return True


def test_a_slow_client_skips_ahead_is_told_and_slows_down_nobody(
    make_agent: Callable[..., Agent], log: Log
) -> None:
    agent = make_agent(client_queue_events=500)
    with agent.channel() as slow_channel, agent.channel() as quick_channel:
        slow, quick = get_events(slow_channel), get_events(quick_channel)
        taken: list[int] = []
        reader = threading.Thread(target=take, args=(quick, 8000, taken))
        reader.start()
        for first in range(0, 8000, 400):
            log.execs(range(first, first + 400), arguments="x" * 4000)
            wait_until(lambda first=first: len(taken) == first + 400)
        reader.join(30)
        assert taken == list(range(8000)), "the quick one got all, in order"
        received = missed = 0
        while received + missed < 8000:
            event = next(slow)
            received += event.WhichOneof("event") == "process_exec"
            missed += event.rate_limit_info.number_of_dropped_process_events
        assert received + missed == 8000
        assert missed > 0


def take(events: Any, count: int, into: list[int]) -> None:
    for _ in range(count):
        into += pids(events, 1)


def test_every_event_is_received_or_counted_as_missed(make_agent: Callable[..., Agent], log: Log) -> None:
    agent = make_agent(client_queue_events=300)
    with agent.channel() as channel:
        events = get_events(channel)
        for _ in range(20):
            log.execs(range(1000))
            log.own("heartbeat", {})
            time.sleep(0.02)
        total = 0
        while total < 20_000:
            info = next(events).rate_limit_info
            total += info.number_of_dropped_process_events or 1
        assert total == 20_000


def test_a_client_that_never_reads_costs_no_memory(make_agent: Callable[..., Agent], log: Log) -> None:
    agent = make_agent(client_queue_events=10_000_000)
    with agent.channel() as channel:
        idle = get_events(channel)
        log.execs(range(2000))
        time.sleep(0.5)
        before = resident_kib(agent.child)
        for _ in range(20):
            log.execs(range(10_000))
        time.sleep(2)
        assert resident_kib(agent.child) - before < 4096
        assert pids(idle, 3) == [0, 1, 2]


def test_a_client_that_leaves_frees_its_place(make_agent: Callable[..., Agent], log: Log) -> None:
    agent = make_agent(max_clients=1)
    for pid in range(1, 4):
        with agent.channel() as channel:
            events = get_events(channel)
            log.exec(pid)
            assert pids(events, 1) == [pid]
        time.sleep(0.2)


def test_a_regular_expression_without_end_ends_its_own_stream_only(agent: Agent, log: Log) -> None:
    with agent.channel() as channel, agent.channel() as evil_channel:
        events = get_events(channel)
        evil = get_events(evil_channel, allow_list=[events_pb2.Filter(arguments_regex=["^(a|aa)+$"])])
        began = time.monotonic()
        log.exec(1, arguments="a" * 100 + "b")
        assert pids(events, 1) == [1]
        with pytest.raises(grpc.RpcError) as caught:
            next(evil)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "simplify the filters" in caught.value.details()
        log.exec(2)
        assert pids(events, 1) == [2]
        assert time.monotonic() - began < 5


def test_without_a_log_the_reason_is_told(agent: Agent, log: Log) -> None:
    shutil.rmtree(log.directory)
    with agent.channel() as channel, pytest.raises(grpc.RpcError) as caught:
        next(get_events(channel, begun=False))
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "cannot read the log" in caught.value.details()


def test_a_deadline_ends_a_stream(agent: Agent) -> None:
    with agent.channel() as channel:
        stream = channel.unary_stream(
            "/tetragon.FineGuidanceSensors/GetEvents",
            events_pb2.GetEventsRequest.SerializeToString,
            events_pb2.GetEventsResponse.FromString,
        )
        with pytest.raises(grpc.RpcError) as caught:
            next(stream(events_pb2.GetEventsRequest(), timeout=1))
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        answer = call(channel, "FineGuidanceSensors/GetVersion", sensors_pb2.GetVersionRequest())
        assert answer.version == "1.2.3"


def test_the_expanded_form_is_shared_by_streams_and_forgotten_with_the_last(agent: Agent, log: Log) -> None:
    log.exec(5, own={"cap": {"effective": "0000000000000001"}})
    for _ in range(2):
        with agent.channel() as channel:
            both = [get_events(channel, expand=True) for _ in range(2)]
            log.exec(6, parent=5, ancestry=(5, 1))
            for events in both:
                assert list(next(events).process_exec.parent.cap.effective) == [0]
        time.sleep(0.2)
