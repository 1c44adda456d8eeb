# SPDX-License-Identifier: Apache-2.0
"""Which runtimes are asked."""

import socket
from pathlib import Path

import pytest

from agent.identity.questions import Question
from agent.identity.runtimes import SourceError
from agent.identity.sockets import Runtime, runtimes


def test_the_usual_runtimes_are_asked_unless_others_are_named() -> None:
    assert [one.name for one in runtimes(())] == ["cri", "docker", "podman"]
    assert [one.name for one in runtimes(("podman:/run/p.sock",))] == ["podman"]


def test_a_runtime_that_is_not_there_knows_nothing() -> None:
    assert Runtime("docker", ["/nonexistent"]).find(Question("x")) is None


def test_a_place_that_cannot_be_looked_at_is_no_socket() -> None:
    assert Runtime("docker", ["/" + "x" * 300]).find(Question("x")) is None


def test_a_socket_that_was_named_must_be_there() -> None:
    with pytest.raises(SourceError, match="/nonexistent: there is no such socket"):
        Runtime("docker", ["/nonexistent"], required=True).find(Question("x"))


def test_a_runtime_that_is_started_later_is_found(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    found = Runtime("docker", [str(path)])
    assert found.find(Question("x")) is None
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        with pytest.raises(SourceError, match="refused"):
            found.find(Question("x"))
