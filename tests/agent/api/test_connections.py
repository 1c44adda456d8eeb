# SPDX-License-Identifier: Apache-2.0
"""Clients that do not behave, next to one that does."""

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from agent.api.connections import FIRST_REQUEST_S, SPARE_CONNECTIONS
from agent.api.proto.tetragon import sensors_pb2
from tests.agent.api.support import Agent, Log, call, get_events, pids, wait_until

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\0\0\0\4\0\0\0\0\0"
PING = b"\0\0\10\6\0\0\0\0\0" + b"12345678"


def connect(agent: Agent) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.connect(agent.path)
    made.settimeout(20)
    return made


def is_closed(sock: socket.socket) -> bool:
    """Whether the other side hung up; what it sent before is thrown away."""
    try:
        while sock.recv(1 << 16):
            pass
    except ConnectionError:
        pass
    except TimeoutError:
        return False
    return True


@pytest.fixture
def witness(agent: Agent, log: Log) -> Iterator[Callable[[], None]]:
    """A client that behaves: calling it fails when it does not get its events in time."""
    with agent.channel() as channel:
        events = get_events(channel)
        child = agent.child

        def check() -> None:
            began = time.monotonic()
            log.exec(5)
            assert pids(events, 1) == [5]
            assert call(channel, "FineGuidanceSensors/GetVersion", sensors_pb2.GetVersionRequest())
            assert time.monotonic() - began < 3
            assert agent.child == child, "it is still the same service"

        yield check


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        bytes(range(256)) * 64,
        b"\0" * 100_000,
        PREFACE + b"\xff" * 5000,
        PREFACE + SETTINGS + b"\0\0\4\1\5\0\0\0\1\xff\xff\xff\xff",
        PREFACE + SETTINGS + b"\0\0\0\0\1\0\0\0\1",
        PREFACE + SETTINGS + b"\0\0\4\10\0\0\0\0\0\0\0\0\0",
        PREFACE + SETTINGS + b"\0\0\0\42\0\0\0\0\0" * 20,
        PREFACE + SETTINGS + b"\xff\xff\xff\1\4\0\0\0\1",
        PREFACE + SETTINGS + b"\0\0\1\1\5\0\0\0\1\x82",
    ],
)
def test_garbage_is_hung_up_on_and_harms_nobody(
    agent: Agent, witness: Callable[[], None], garbage: bytes
) -> None:
    with connect(agent) as client:
        client.sendall(garbage)
        client.shutdown(socket.SHUT_WR)
        assert is_closed(client)
    witness()
    assert agent.reports == []


def test_a_client_that_says_nothing_is_hung_up_on(agent: Agent, witness: Callable[[], None]) -> None:
    with connect(agent) as mute, connect(agent) as polite:
        polite.sendall(PREFACE + SETTINGS)
        began = time.monotonic()
        assert is_closed(mute)
        assert is_closed(polite)
        assert time.monotonic() - began < FIRST_REQUEST_S + 5
    witness()


def test_a_crowd_that_says_nothing_keeps_nobody_out(make_agent: Callable[..., Agent], log: Log) -> None:
    agent = make_agent(max_clients=2)
    with ExitStack() as stack, agent.channel() as channel:
        events = get_events(channel)
        crowd = [stack.enter_context(connect(agent)) for _ in range(3 * SPARE_CONNECTIONS)]
        with agent.channel() as late:
            assert call(late, "FineGuidanceSensors/GetVersion", sensors_pb2.GetVersionRequest())
        log.exec(5)
        assert pids(events, 1) == [5]
        assert is_closed(crowd[0])


def test_a_client_that_floods_is_hung_up_on(agent: Agent, witness: Callable[[], None]) -> None:
    with connect(agent) as flood:
        flood.sendall(PREFACE + SETTINGS)
        with pytest.raises(OSError):
            for _ in range(1000):
                flood.sendall(PING * 4000)
    witness()


def test_a_client_that_floods_without_reading_costs_no_memory(
    agent: Agent, witness: Callable[[], None]
) -> None:
    witness()
    before = Path(f"/proc/{agent.child}/statm").read_text().split()[1]
    with connect(agent) as flood:
        flood.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        flood.sendall(PREFACE + SETTINGS)
        with pytest.raises(OSError):
            for _ in range(1000):
                flood.sendall(PING * 4000)
    after = Path(f"/proc/{agent.child}/statm").read_text().split()[1]
    assert (int(after) - int(before)) * 4096 < 16 << 20
    witness()


def test_connections_come_and_go_by_the_thousand(agent: Agent, witness: Callable[[], None]) -> None:
    witness()
    for _ in range(1000):
        connect(agent).close()
    witness()
    wait_until(lambda: len(list(Path(f"/proc/{agent.child}/fd").iterdir())) < 40)


def test_a_thousand_connections_at_once_keep_nobody_out(
    agent: Agent, witness: Callable[[], None], log: Log
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    try:
        with ExitStack() as stack, agent.channel() as channel:
            events = get_events(channel)
            for _ in range(1000):
                stack.enter_context(connect(agent)).sendall(PREFACE + SETTINGS)
            log.exec(5)
            assert pids(events, 1) == [5]
            witness()
            assert len(list(Path(f"/proc/{agent.child}/fd").iterdir())) < 200
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


CLIENT = """
import grpc, sys, time
channel = grpc.insecure_channel("unix:" + sys.argv[1])
events = channel.unary_stream("/tetragon.FineGuidanceSensors/GetEvents")(b"")
events.initial_metadata()
print("begun", flush=True)
time.sleep(600)
"""


def test_a_stopped_client_is_only_its_own_problem(
    agent: Agent, witness: Callable[[], None], log: Log
) -> None:
    code = [sys.executable, "-c", CLIENT, agent.path]
    with subprocess.Popen(code, stdout=subprocess.PIPE) as stopped:
        assert stopped.stdout is not None
        assert stopped.stdout.readline() == b"begun\n"
        os.kill(stopped.pid, signal.SIGSTOP)
        log.execs(range(1_000_000, 1_000_005))
        stopped.kill()


def test_the_preface_alone_does_not_keep_the_service_alive(make_agent: Callable[..., Agent]) -> None:
    agent = make_agent(idle_s=0.5)
    with connect(agent) as client:
        client.sendall(PREFACE + SETTINGS)
        assert is_closed(client)
        wait_until(lambda: agent.child is None)
