# SPDX-License-Identifier: Apache-2.0
"""Docker's API, of a daemon made for the test and of Podman where it is installed."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer

import pytest

from agent.identity import docker
from agent.identity.docker import Docker
from agent.identity.questions import Question
from agent.identity.runtimes import SourceError

TOLD = {
    "Name": "/shop\x1b[2J",
    "Image": "sha256:1",
    "Config": {"Image": "web:1", "Labels": {"team": "red"}},
    "State": {"StartedAt": "2026-01-01T00:00:00Z"},
    "HostConfig": {"Privileged": True},
}
Serve = Callable[[int, bytes], Docker]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts a daemon that always gives one answer."""
    servers: list[ThreadingUnixStreamServer] = []

    def begin(status: int, body: bytes) -> Docker:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

            def address_string(self) -> str:
                return "unix"

            def log_message(self, format: str, *args: object) -> None:
                pass

        server = ThreadingUnixStreamServer(str(tmp_path / "docker.sock"), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return Docker("docker", str(tmp_path / "docker.sock"))

    yield begin
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_container_has_name_image_and_labels(serve: Serve) -> None:
    found = serve(200, json.dumps(TOLD).encode()).find(Question("abc"))
    assert found and found.container["name"] == "shop\\x1b[2J"
    assert found.container["image"] == {"id": "sha256:1", "name": "web:1"}
    assert found.container["labels"] == {"team": "red"} and found.pod == {}


def test_a_container_that_is_not_there_is_none(serve: Serve) -> None:
    assert serve(404, b"{}").find(Question("abc")) is None


@pytest.mark.parametrize(("status", "body"), [(500, b"{}"), (200, b"garbage"), (200, b"[]")])
def test_who_answers_otherwise_is_no_docker(serve: Serve, status: int, body: bytes) -> None:
    with pytest.raises(SourceError, match="not as Docker does"):
        serve(status, body).find(Question("abc"))


def test_a_hanging_socket_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker, "TIMEOUT_S", 0.2)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen()
        with pytest.raises(SourceError, match="timed out"):
            Docker("docker", str(tmp_path / "s")).find(Question("abc"))


@pytest.mark.parametrize("name", ["../info", "\u00e9" * 64, "a b"])
def test_an_id_is_never_a_path(name: str) -> None:
    assert Docker("docker", "/nonexistent").find(Question(name)) is None


def test_what_nonsense_says_is_told_without_control_characters(tmp_path: Path) -> None:
    def speak() -> None:
        with server.accept()[0] as client:
            client.recv(4096)
            client.sendall(b"\x1b[2J\0\n")

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen()
        thread = threading.Thread(target=speak)
        thread.start()
        with pytest.raises(SourceError) as caught:
            Docker("docker", str(tmp_path / "s")).find(Question("abc"))
        thread.join()
    assert str(caught.value).isprintable()
