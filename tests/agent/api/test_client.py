# SPDX-License-Identifier: Apache-2.0
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.api.client import AgentClient
from agent.api.proto.tetragon import sensors_pb2
from agent.errors import AgentUnreachable, TracehoundError
from tests.agent.api.support import Agent

NOBODY = 65534


def test_it_asks_everything_that_can_be_asked(agent: Agent) -> None:
    agent.status = {"state": "running", "health": {"state": "degraded", "reasons": ["tired"]}}
    client = AgentClient(agent.path)
    assert client.version() == "1.2.3"
    assert client.status() == agent.status
    assert client.health() == ("HEALTH_STATUS_RUNNING", "degraded: tired")


def test_a_refused_reload_carries_the_way_out(agent: Agent) -> None:
    with pytest.raises(TracehoundError, match="3 problems in") as caught:
        AgentClient(agent.path).reload()
    assert caught.value.hint == "correct them – all"


def test_a_reload_that_found_problems_names_them(agent: Agent) -> None:
    agent.reload = {"ok": False, "problems": ["line 3: unknown key", "line 5: not a number"]}
    with pytest.raises(TracehoundError, match="line 3: unknown key\nline 5"):
        AgentClient(agent.path).reload()


def test_a_reload_that_was_taken_is_told(agent: Agent) -> None:
    agent.reload = {"ok": True, "problems": []}
    assert AgentClient(agent.path).reload() == agent.reload


def test_what_is_not_implemented_is_said_so(agent: Agent) -> None:
    with pytest.raises(TracehoundError, match="ListSensors is deprecated"):
        AgentClient(agent.path).call(
            "ListSensors", sensors_pb2.ListSensorsRequest(), sensors_pb2.ListSensorsResponse
        )


def test_a_policy_is_added_in_the_mode_that_is_asked_for(agent: Agent) -> None:
    agent.policies = {"ok": True}
    AgentClient(agent.path).add_policy("kind: TracingPolicy", "monitor")
    question = {"request": "policy_add", "text": "kind: TracingPolicy", "mode": "monitor"}
    assert agent.questions == [question]


def test_a_policy_is_configured_and_deleted(agent: Agent) -> None:
    agent.policies = {"ok": True}
    client = AgentClient(agent.path)
    client.configure_policy("p", "ns", mode="enforce")
    client.delete_policy("p")
    assert agent.questions == [
        {"request": "policy_set", "key": "ns/p", "mode": "enforce"},
        {"request": "policy_delete", "key": "p"},
    ]


def test_policies_are_listed_in_full(agent: Agent) -> None:
    agent.policies = {"policies": [{"name": "p"}], "unread": []}
    assert AgentClient(agent.path).policies() == agent.policies


def test_an_agent_that_does_not_answer_is_unreachable(agent: Agent) -> None:
    AgentClient(agent.path).version()
    agent.delay_s = 4
    with pytest.raises(AgentUnreachable, match="the agent does not answer"):
        AgentClient(agent.path).status()


def test_a_missing_socket_is_told_with_the_way_out(place: Path) -> None:
    with pytest.raises(AgentUnreachable, match="there is no such socket") as caught:
        AgentClient(str(place / "nowhere")).version()
    assert "tracehound run" in caught.value.hint


def test_the_socket_of_a_dead_agent_is_told(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(place / "s"))
    with pytest.raises(AgentUnreachable, match="the agent that made it is gone"):
        AgentClient(str(place / "s")).version()


@pytest.mark.root
def test_a_socket_that_is_not_for_us_is_told(agent: Agent, place: Path) -> None:
    place.chmod(0o755)
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        with pytest.raises(AgentUnreachable, match="permission denied") as caught:
            AgentClient(agent.path).version()
    finally:
        os.seteuid(0)
        os.setegid(0)
    assert "group" in caught.value.hint


def test_somebody_who_does_not_speak_grpc_is_unreachable(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(place / "s"))
        other.listen()
        with pytest.raises(AgentUnreachable, match="no answer within 1 s"):
            AgentClient(str(place / "s"), timeout_s=1).version()


def test_a_service_that_breaks_off_is_unreachable(make_agent: Callable[..., Agent], place: Path) -> None:
    import threading

    with socket.socket(socket.AF_UNIX) as rude:
        rude.bind(str(place / "r"))
        rude.listen()

        def hang_up() -> None:
            for _ in range(2):
                rude.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        with pytest.raises(AgentUnreachable):
            AgentClient(str(place / "r"), timeout_s=5).version()


def test_a_failed_call_loads_nothing_costly() -> None:
    code = f"""
import sys
sys.path[:0] = {sys.path!r}
from agent.api.client import AgentClient
from agent.errors import AgentUnreachable
try:
    AgentClient("/no/such/socket").version
    AgentClient("/no/such/socket")._knock()
except AgentUnreachable:
    print([name for name in sys.modules if name.split(".")[0] in ("grpclib", "asyncio", "google")])
"""
    found = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
