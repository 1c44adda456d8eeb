# SPDX-License-Identifier: Apache-2.0
"""`tracehound oci-hook`."""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from grpclib.const import Cardinality, Handler
from grpclib.server import Server

from agent.api.proto.tetragon import tetragon_pb2 as pb
from agent.cli.main import main
from agent.cli.oci_hook import cgroup_of, container_of, with_hook

ID = "c" * 64
NOTES = {"io.kubernetes.cri.sandbox-namespace": "shop", "io.kubernetes.cri.container-name": "main"}


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A container with a bundle, on standard input."""
    (tmp_path / "config.json").write_text(json.dumps({"annotations": NOTES, "root": {"path": "rootfs"}}))
    found = {"ociVersion": "1.0.2", "id": ID, "status": "created", "pid": 1, "bundle": str(tmp_path)}
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(json.dumps(found).encode())))
    return found


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[tuple[str, list[Any]]]:
    """A socket that takes RuntimeHook, and what came."""
    came: list[Any] = []
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)

    async def take(stream: Any) -> None:
        came.append(await stream.recv_message())
        await stream.send_message(pb.RuntimeHookResponse())

    class Service:
        def __mapping__(self) -> dict[str, Handler]:
            way = Cardinality.UNARY_UNARY
            handler = Handler(take, way, pb.RuntimeHookRequest, pb.RuntimeHookResponse)
            return {"/tetragon.FineGuidanceSensors/RuntimeHook": handler}

    async def begin() -> Server:
        server = Server([Service()])
        await server.start(path=path)
        return server

    path = str(tmp_path / "agent.sock")
    thread.start()
    server = asyncio.run_coroutine_threadsafe(begin(), loop).result(10)
    yield path, came

    async def end() -> None:
        server.close()
        await server.wait_closed()

    asyncio.run_coroutine_threadsafe(end(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_the_agent_is_told_who_is_about_to_start(state: Any, agent: tuple[str, list[Any]]) -> None:
    path, came = agent
    assert main(["oci-hook", "--socket", path]) == 0
    told = came[0].createContainer
    assert (told.containerID, told.podNamespace, told.containerName) == (ID, "shop", "main")


@pytest.mark.parametrize(("closed", "status"), [([], 0), (["pay*"], 0), (["pay*", "sho*"], 1)])
def test_without_an_agent_the_namespace_decides(
    state: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], closed: list[str], status: int
) -> None:
    words = [word for pattern in closed for word in ("--fail-closed", pattern)]
    assert main(["oci-hook", "--socket", str(tmp_path / "gone"), *words]) == status
    assert ("not started" if status else "started all the same") in capsys.readouterr().err


def test_a_broken_installation_does_not_keep_containers_from_starting(
    state: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "agent.api.client", None)
    assert main(["oci-hook"]) == 0
    assert "started all the same" in capsys.readouterr().err


def test_the_file_for_hooks_d_calls_this_command_with_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["oci-hook", "--hooks-file", "--fail-closed", "pay*"]) == 0
    file = json.loads(capsys.readouterr().out)
    assert file["stages"] == ["createRuntime"] and file["hook"]["args"][-2:] == ["--fail-closed", "pay*"]


def test_a_specification_gets_the_hook_once() -> None:
    hook = {"path": "/usr/bin/tracehound", "args": ["tracehound", "oci-hook"]}
    other = {"path": "/usr/bin/other"}
    once = with_hook({"hooks": {"createRuntime": [other]}}, hook)
    assert with_hook(once, hook) == once and once["hooks"]["createRuntime"] == [other, hook]


def test_a_container_without_bundle_is_told_of_by_its_id() -> None:
    assert container_of({"id": ID, "bundle": "/nonexistent"})["containerID"] == ID


def test_no_length_of_a_pod_hides_its_namespace(tmp_path: Path) -> None:
    notes = {**NOTES, "long": "\x01" * 1_500_000, **{f"n{number}": "x" for number in range(9999)}}
    (tmp_path / "config.json").write_text(json.dumps({"annotations": notes}))
    told = container_of({"id": ID, "bundle": str(tmp_path)})
    assert told["podNamespace"] == "shop" and len(pb.CreateContainer(**told).SerializeToString()) < 1 << 20


@pytest.mark.parametrize(
    ("lines", "path"),
    [
        ("0::/kubepods/pod1/x\n", "/kubepods/pod1/x"),
        ("2:memory:/docker/x\n1:name=systemd:/system/x\n0::/\n", "/system/x"),
        ("0::/\n", ""),
    ],
)
def test_the_cgroup_is_that_of_the_waiting_process(tmp_path: Path, lines: str, path: str) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "cgroup").write_text(lines)
    assert cgroup_of(7, tmp_path) == path and cgroup_of(8, tmp_path) == ""


def test_standard_input_that_is_no_state_is_a_mistake_of_the_call() -> None:
    program = "import sys; from agent.cli.main import main; sys.exit(main(['oci-hook']))"
    ended = subprocess.run([sys.executable, "-c", program], input=b"x", capture_output=True, check=False)
    assert ended.returncode == 2 and b"--help" in ended.stderr
