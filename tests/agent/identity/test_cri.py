# SPDX-License-Identifier: Apache-2.0
"""The Container Runtime Interface, of a runtime made for the test; tests/kube has real ones."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError
from grpclib.server import Server

from agent.identity import wire
from agent.identity.cri import Cri, _Bytes
from agent.identity.questions import Question
from agent.identity.runtimes import SourceError

ID, SANDBOX = "c" * 64, "5" * 64


def pairs(number: int, labels: dict[str, str]) -> bytes:
    """A map field."""
    return b"".join(
        wire.encode(number, wire.encode(1, key) + wire.encode(2, value)) for key, value in labels.items()
    )


POD = {
    f"io.kubernetes.pod.{name}": value
    for name, value in (("namespace", "shop"), ("name", "web"), ("uid", "u"))
}
CONTAINER = (
    wire.encode(1, ID)
    + wire.encode(2, wire.encode(1, b"main\xff"))
    + b"\x28\x80\x94\xeb\xdc\x03"  # started_at: 1,000,000,000
    + wire.encode(8, wire.encode(1, "web:1"))
    + wire.encode(9, "sha256:1")
    + pairs(12, POD)
)
ANSWERS = {
    ("ContainerStatus", ID): wire.encode(1, CONTAINER),
    ("PodSandboxStatus", SANDBOX): wire.encode(1, wire.encode(1, SANDBOX) + pairs(7, POD | {"app": "web"})),
    ("ListContainers", ID): wire.encode(1, wire.encode(1, ID) + wire.encode(2, SANDBOX)),
}
Serve = Callable[[str], Cri]


class Runtime:
    """A CRI of one version."""

    def __init__(self, version: str) -> None:
        self._version = version

    def __mapping__(self) -> dict[str, Handler]:
        return {
            f"/runtime.{version}.RuntimeService/{name}": Handler(
                self._answer(name, version), Cardinality.UNARY_UNARY, bytes, bytes
            )
            for name in ("ContainerStatus", "PodSandboxStatus", "ListContainers")
            for version in ("v1", "v1alpha2")
        }

    def _answer(self, name: str, version: str) -> Any:
        async def answer(stream: Any) -> None:
            request = await stream.recv_message()
            if version != self._version:
                raise GRPCError(Status.UNIMPLEMENTED, "unknown service")
            inner = {1: wire.Field("id", "text"), 2: wire.Field("id", "text")}
            named = request if name != "ListContainers" else request[2:]
            found = ANSWERS.get((name, wire.read(named, inner).get("id", "")))
            if found is None:
                raise GRPCError(Status.NOT_FOUND, "no such thing")
            await stream.send_message(found)

        return answer


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts a runtime of a version; the client to it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    servers: list[Server] = []
    clients: list[Cri] = []

    async def begin(version: str) -> None:
        servers.append(Server([Runtime(version)], codec=_Bytes()))
        await servers[0].start(path=str(tmp_path / "cri.sock"))

    async def end() -> None:
        for server in servers:
            server.close()
            await server.wait_closed()

    def start(version: str) -> Cri:
        asyncio.run_coroutine_threadsafe(begin(version), loop).result(10)
        clients.append(Cri(str(tmp_path / "cri.sock")))
        return clients[-1]

    yield start
    for client in clients:
        client.close()
    asyncio.run_coroutine_threadsafe(end(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.mark.parametrize("version", ["v1", "v1alpha2"])
def test_a_container_has_its_name_image_and_pod_in_both_versions(serve: Serve, version: str) -> None:
    found = serve(version).find(Question(ID))
    assert found and found.container == {
        "id": ID,
        "name": "main\ufffd",
        "image": {"id": "sha256:1", "name": "web:1"},
        "start_time": "1970-01-01T00:00:01.000000000Z",
    }
    assert found.pod == {"namespace": "shop", "name": "web", "uid": "u", "pod_labels": {"app": "web"}}


def test_a_sandbox_belongs_to_its_pod(serve: Serve) -> None:
    found = serve("v1").find(Question(SANDBOX))
    assert found and found.container == {"id": SANDBOX} and found.pod["name"] == "web"


def test_who_is_not_there_is_none(serve: Serve) -> None:
    assert serve("v1").find(Question("x")) is None


def test_a_version_that_nobody_speaks_is_told(serve: Serve) -> None:
    with pytest.raises(SourceError, match="speaks none of CRI v1, v1alpha2"):
        serve("v2").find(Question(ID))


def test_a_hanging_socket_is_given_up(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen()
        cri = Cri(str(tmp_path / "s"), 0.2)
        with pytest.raises(SourceError, match=r"no answer within 0\.2 s"):
            cri.find(Question(ID))
        cri.close()


def test_a_socket_without_a_runtime_is_told(tmp_path: Path) -> None:
    cri = Cri(str(tmp_path / "gone"))
    with pytest.raises(SourceError, match="gone"):
        cri.find(Question(ID))
    cri.close()


FRAMES = {
    "compressed": b"\x88\0\x0ccontent-type\x10application/grpc",
    "no status": b"\x82",
}
"""Heads of an answer (RFC 7541): what grpclib raises at them is no error of gRPC."""


@pytest.mark.parametrize("head", FRAMES.values(), ids=FRAMES)
def test_a_socket_that_speaks_nonsense_is_told(tmp_path: Path, head: bytes) -> None:
    def speak() -> None:
        with server.accept()[0] as client:
            client.recv(4096)
            time.sleep(0.1)  # the request is under way
            client.sendall(frame(4, 0, 0, b"") + frame(1, 4, 1, head) + frame(0, 1, 1, b"\1\0\0\0\5hello"))
            while client.recv(4096):
                pass

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen()
        thread = threading.Thread(target=speak)
        thread.start()
        cri = Cri(str(tmp_path / "s"))
        with pytest.raises(SourceError, match=r"KeyError|NotImplementedError"):
            cri.find(Question(ID))
        cri.close()
        thread.join()


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Of HTTP/2 (RFC 9113, 4.1)."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload
