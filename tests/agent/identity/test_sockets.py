# SPDX-License-Identifier: Apache-2.0
"""Which runtimes are asked."""

import socket
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.identity.questions import Question
from agent.identity.runtimes import REST_S, SourceError
from agent.identity.sockets import Runtime, runtimes


def test_the_usual_runtimes_are_asked_unless_others_are_named() -> None:
    assert [one.name for one in runtimes(())] == ["cri", "docker", "podman"]
    assert [one.name for one in runtimes(("podman:/run/p.sock",))] == ["podman"]
    assert [one.name for one in runtimes(("cri:/a.sock", "docker:/d.sock", "cri:/b.sock"))] == [
        "cri",
        "docker",
    ]


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


@pytest.fixture
def daemons(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Sockets of a daemon that closes every connection, and of one that knows the container `aa`."""
    deaf, other = str(tmp_path / "deaf.sock"), str(tmp_path / "docker.sock")
    kinds = ((deaf, socketserver.BaseRequestHandler), (other, Daemon))
    servers = [socketserver.ThreadingUnixStreamServer(path, kind) for path, kind in kinds]
    for server in servers:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield deaf, other
    for server in servers:
        server.shutdown()
        server.server_close()


class Daemon(socketserver.StreamRequestHandler):
    """Answers as Docker does."""

    def handle(self) -> None:
        path = self.rfile.readline().split()[1]
        while self.rfile.readline().strip():  # the head, to its end
            pass
        body = b'{"Id":"aa","Name":"/web"}' if b"/aa/" in path else b"{}"
        status = b"200 OK" if b"/aa/" in path else b"404 Not Found"
        head = b"HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (status, len(body))
        self.wfile.write(head + body)


def test_a_second_socket_is_asked_where_the_first_one_does_not_answer(daemons: tuple[str, str]) -> None:
    found = Runtime("docker", daemons).find(Question("aa"))
    assert found and found.container["name"] == "web"


def test_what_one_of_them_answers_is_no_error(daemons: tuple[str, str]) -> None:
    assert Runtime("docker", daemons).find(Question("bb")) is None


def test_a_socket_that_does_not_answer_is_left_alone_while_another_does(daemons: tuple[str, str]) -> None:
    now = [0.0]
    found = Runtime("docker", daemons, clock=lambda: now[0])
    found.find(Question("bb"))
    assert found._there([]) == [daemons[1]]
    now[0] = REST_S
    assert found._there([]) == list(daemons)


def test_all_are_asked_again_where_none_answers(daemons: tuple[str, str]) -> None:
    found = Runtime("docker", daemons[:1])
    for _ in range(2):
        with pytest.raises(SourceError):
            found.find(Question("aa"))
