# SPDX-License-Identifier: Apache-2.0
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import grpc
import pytest

from agent.api.activation import ApiSocket
from agent.api.proto.tetragon import sensors_pb2
from agent.errors import AlreadyRunning
from agent.settings import ApiSettings
from tests.agent.api.support import Agent, Log, call, exists, get_events, pids, wait_until

VERSION = sensors_pb2.GetVersionRequest()


def ask_version(agent: Agent) -> str:
    with agent.channel() as channel:
        return call(channel, "FineGuidanceSensors/GetVersion", VERSION).version


def test_no_service_runs_until_somebody_connects(agent: Agent) -> None:
    time.sleep(0.2)
    assert agent.socket.facts() == {"listening": True, "pid": None, "starts": 0, "failures": 0}


def test_the_service_is_started_by_the_first_connection_and_serves_the_next(agent: Agent) -> None:
    assert ask_version(agent) == "1.2.3"
    first = agent.child
    assert ask_version(agent) == "1.2.3"
    assert agent.child == first
    assert agent.socket.starts == 1


def test_an_idle_service_ends_and_comes_back(make_agent: Callable[..., Agent]) -> None:
    agent = make_agent(idle_s=0.5)
    ask_version(agent)
    wait_until(lambda: agent.child is None)
    assert ask_version(agent) == "1.2.3"
    assert agent.socket.starts == 2
    assert agent.reports == []


def test_a_service_with_a_stream_is_not_idle(make_agent: Callable[..., Agent], log: Log) -> None:
    agent = make_agent(idle_s=0.3)
    with agent.channel() as channel:
        events = get_events(channel)
        time.sleep(1)
        log.exec(5)
        assert pids(events, 1) == [5]
    assert agent.socket.starts == 1


def test_a_killed_service_is_started_again_by_the_next_connection(agent: Agent) -> None:
    ask_version(agent)
    killed = agent.child
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: agent.child is None)
    assert ask_version(agent) == "1.2.3"
    assert agent.reports == [
        "tracehound: the API service ended by signal 9; it starts again with the next connection"
    ]


def test_a_service_that_fails_again_and_again_is_started_less_and_less(
    make_agent: Callable[..., Agent], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.api.child.MODULE", "agent.api.no_such_module")
    agent = make_agent()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(agent.path)
        wait_until(lambda: len(agent.reports) == 3)
    assert agent.reports[0].endswith("ended with status 1; it starts again with the next connection")
    assert agent.reports[1].endswith("connections wait 1 s")
    assert agent.reports[2].endswith("connections wait 2 s")


def test_a_service_that_cannot_be_started_is_no_reason_to_end(
    make_agent: Callable[..., Agent], monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = make_agent()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", "/no/such/python")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(agent.path)
            wait_until(lambda: agent.reports)
    assert "could not be started: No such file or directory" in agent.reports[0]
    assert ask_version(agent) == "1.2.3"


def test_closing_ends_the_service_and_removes_the_socket(make_agent: Callable[..., Agent]) -> None:
    agent = make_agent()
    ask_version(agent)
    child = agent.child
    assert child is not None
    agent.close()
    assert not exists(child)
    assert not Path(agent.path).exists()
    agent.close()


def test_a_service_whose_agent_dies_ends(place: Path, log: Log) -> None:
    api = ApiSocket(ApiSettings(socket=str(place / "s")), str(log.directory), lambda question: {})
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(place / "s"))
        (fd,) = api.filenos()
        select.select([fd], [], [], 5)
        api.handle(fd)
    child = api.facts()["pid"]
    wait_until(lambda: b"agent.api.server" in Path(f"/proc/{child}/cmdline").read_bytes())
    api._hang_up()
    wait_until(lambda: not exists(child))
    api.close()


def test_a_second_agent_on_the_same_socket_is_refused(agent: Agent, log: Log) -> None:
    with pytest.raises(AlreadyRunning, match="another process serves the control socket"):
        ApiSocket(ApiSettings(socket=agent.path), str(log.directory), lambda question: {})
    assert ask_version(agent) == "1.2.3"


def test_an_empty_path_switches_the_service_off(log: Log) -> None:
    api = ApiSocket(ApiSettings(socket=""), str(log.directory), lambda question: {})
    assert api.filenos() == []
    api.tick()
    api.close()


def test_the_agent_never_waits_for_a_service_that_asks_without_listening(place: Path, log: Log) -> None:
    api = ApiSocket(
        ApiSettings(socket=str(place / "s")), str(log.directory), lambda question: {"x": "y" * 9999}
    )
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(place / "s"))
        (fd,) = api.filenos()
        select.select([fd], [], [], 5)
        api.handle(fd)
    ours, theirs = socket.socketpair()
    assert api._link is not None
    api._poll.unregister(api._link.sock.fileno())
    api._link.sock.close()
    api._link.sock = ours
    ours.setblocking(False)
    api._poll.register(ours.fileno(), select.EPOLLIN)
    for _ in range(200):
        theirs.send(b'{"request":"status"}\n' * 10)
        began = time.monotonic()
        api.handle(fd)
        assert time.monotonic() - began < 1
        if api._link is None:
            break
    assert api._link is None, "it hung up on a service that does not read"
    theirs.close()
    api.close()


def test_importing_the_agents_part_loads_no_grpc() -> None:
    heavy = ("grpclib", "h2", "google", "asyncio", "logging", "subprocess")
    code = f"""
import sys
sys.path[:0] = {sys.path!r}
import agent.api.activation
print([name for name in sys.modules if name.split(".")[0] in {heavy!r}])
"""
    found = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_child_lowers_itself(agent: Agent) -> None:
    ask_version(agent)
    stat = Path(f"/proc/{agent.child}/stat").read_text().rpartition(")")[2].split()
    assert int(stat[16]) == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 10)
    status = Path(f"/proc/{agent.child}/status").read_text()
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    assert Path(f"/proc/{agent.child}/oom_score_adj").read_text().strip() == "500"


def test_the_child_inherits_no_file_of_the_agent(agent: Agent, log: Log) -> None:
    with log.segment.open() as held:
        ask_version(agent)
        names = set()
        for link in Path(f"/proc/{agent.child}/fd").iterdir():
            with suppress(FileNotFoundError):  # our own connection, which is just being closed
                names.add(str(link.readlink()))
        assert names
        assert held.name not in names


@pytest.mark.usefixtures("channel")
def test_grpcio_is_a_client_of_another_implementation() -> None:
    assert "grpclib" not in grpc.__file__
