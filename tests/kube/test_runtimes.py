# SPDX-License-Identifier: Apache-2.0
"""Real container runtimes: containerd by CRI, runc by its state on disk, Podman by its socket."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.identity.bundles import Bundles
from agent.identity.cri import Cri
from agent.identity.docker import Docker
from agent.identity.questions import Question
from agent.settings import IdentitySettings
from tests.agent.running import Running
from tests.agent.running import running as running_agent
from tests.kube.pods import IMAGE, Kubelet, Pod, import_image

pytestmark = pytest.mark.root
ROOT = Path(__file__).resolve().parents[2]
CONTAINERD = """\
version = 2
root = "{0}/root"
state = "{0}/state"
[grpc]
  address = "{0}/containerd.sock"
[ttrpc]
  address = "{0}/ttrpc.sock"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  disable_tcp_service = true
  sandbox_image = "localhost/busybox:1"
[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "native"
"""


def need(*names: str) -> None:
    """Skips where a program is not installed."""
    for name in names:
        if not shutil.which(name):
            pytest.skip(f"no {name} here")


def until(check: Callable[[], Any]) -> Any:
    """Its first answer that counts."""
    end = time.monotonic() + 60
    while not (found := check()):
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.1)
    return found


@contextmanager
def running(log: Path, *command: str) -> Iterator[None]:
    """A daemon while the test needs it."""
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def containerd(tmp_path: Path) -> Iterator[Path]:
    """The socket of a containerd of this test's own."""
    need("containerd")
    (tmp_path / "config.toml").write_text(CONTAINERD.format(tmp_path))
    with running(tmp_path / "log", "containerd", "--config", str(tmp_path / "config.toml")):
        until((tmp_path / "containerd.sock").is_socket)
        yield tmp_path / "containerd.sock"


def test_containerd_says_that_it_does_not_know_a_container(containerd: Path) -> None:
    cri = Cri(str(containerd), 20.0)
    assert cri.find(Question("c" * 64)) is None
    cri.close()


@pytest.fixture
def kubelet(containerd: Path, tmp_path: Path) -> Iterator[Kubelet]:
    """Makes pods."""
    need("runc", "busybox", "ctr")
    import_image(containerd, tmp_path)
    made = Kubelet(containerd)
    yield made
    made.close()


def test_a_pods_container_is_found_by_cri(kubelet: Kubelet, containerd: Path) -> None:
    pod = kubelet.run("web-1", ["/busybox", "sleep", "600"])
    cri = Cri(str(containerd), 20.0)
    found = cri.find(Question(pod.container))
    sandbox = cri.find(Question(pod.sandbox))
    cri.close()
    assert found and found.container["name"] == "main" and found.container["image"]["name"] == IMAGE
    assert found.pod["uid"] == pod.uid and found.pod["pod_labels"] == {"app": "web"}
    assert sandbox and sandbox.pod["name"] == "web-1"


def test_events_of_a_pod_name_it_by_what_cri_told(kubelet: Kubelet, containerd: Path, tmp_path: Path) -> None:
    asked = IdentitySettings(
        kubernetes=False, sockets=(f"cri:{containerd}",), state_file=str(tmp_path / "kubernetes.json")
    )
    with running_agent(tmp_path / "agent", "real", identity=asked) as agent:
        pods = [kubelet.run(f"web-{number}", ["/busybox", "sleep", "600"]) for number in range(3)]
        assert agent.until(lambda: all(agent.execs(pod.container) for pod in pods), 120)
        assert agent.until(lambda: all(sources(agent, pod)[-1:] == ["cri"] for pod in pods), 120)
        for pod in pods:
            update = agent.updates(pod.container)[-1]
            assert update["state"] == "known" and update["container"]["image"]["name"] == IMAGE
            assert (update["pod"]["name"], update["pod"]["uid"]) == (pod.name, pod.uid)


def sources(agent: Running, pod: Pod) -> list[str]:
    """Who has told of it: often its bundle first."""
    return [str(one["source"]) for one in agent.updates(pod.container)]


@pytest.fixture
def runc(tmp_path: Path) -> Iterator[str]:
    """The id of a container that sleeps."""
    need("runc", "busybox")
    bundle, id_ = tmp_path / "bundle", f"tracehound-test-{os.getpid()}"
    (bundle / "rootfs").mkdir(parents=True)
    shutil.copy(str(shutil.which("busybox")), bundle / "rootfs" / "busybox")
    subprocess.run(["runc", "spec"], cwd=bundle, check=True)
    config = json.loads((bundle / "config.json").read_text())
    config["process"] |= {"terminal": False, "args": ["/busybox", "sleep", "60"], "rlimits": []}
    config["annotations"] = {"io.kubernetes.cri.container-name": "main"}
    (bundle / "config.json").write_text(json.dumps(config))
    command = ["runc", "run", "--detach", "--bundle", str(bundle), id_]
    with (tmp_path / "log").open("wb") as log:
        started = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=60, check=False
        )
    assert started.returncode == 0, (tmp_path / "log").read_text()
    yield id_
    subprocess.run(["runc", "delete", "--force", id_], check=True, timeout=60)


def test_a_runc_container_is_found_by_its_state_on_disk(runc: str) -> None:
    found = Bundles().find(Question(runc))
    assert found and found.container["name"] == "main"


@pytest.fixture
def podman(tmp_path: Path) -> Iterator[tuple[Path, list[str]]]:
    """Podman's socket, and its command with the store of this test."""
    need("podman", "runc", "busybox")
    with tempfile.TemporaryDirectory(prefix="pod") as place:  # Podman refuses long paths
        command = ["podman", "--root", f"{place}/root", "--runroot", f"{place}/run", "--runtime", "runc"]
        command += ["--cgroup-manager=cgroupfs", "--storage-driver=vfs"]
        path = Path(place) / "podman.sock"
        with running(tmp_path / "log", *command, "system", "service", "--time=0", f"unix://{path}"):
            until(path.is_socket)
            yield path, command


def test_a_podman_container_is_found_by_its_socket(podman: tuple[Path, list[str]], tmp_path: Path) -> None:
    path, command = podman
    (tmp_path / "image").mkdir()
    shutil.copy(str(shutil.which("busybox")), tmp_path / "image" / "sh")
    tar = tmp_path / "image.tar"
    subprocess.run(["tar", "-C", tmp_path / "image", "-cf", tar, "."], check=True)
    subprocess.run([*command, "import", tar, "localhost/probe:1"], check=True, capture_output=True)
    create = [*command, "create", "--name", "probe", "--label", "team=red", "--network=none"]
    create += ["localhost/probe:1", "/sh"]
    id_ = subprocess.run(create, check=True, capture_output=True, text=True).stdout.split()[-1]
    found = Docker("podman", str(path)).find(Question(id_))
    assert found and found.container["name"] == "probe" and found.container["labels"]["team"] == "red"
    assert found.container["image"]["name"] == "localhost/probe:1"


@pytest.mark.parametrize(("closed", "starts"), [("payments", True), ("shop", False)])
def test_a_runtime_that_calls_the_hook_without_an_agent_goes_by_the_namespace(
    tmp_path: Path, closed: str, starts: bool
) -> None:
    need("runc", "busybox")
    program = "import sys; from agent.cli.main import main; sys.exit(main(sys.argv[1:]))"
    words = ["oci-hook", "--socket", str(tmp_path / "gone"), "--fail-closed", closed]
    hook = {
        "path": sys.executable,
        "args": [sys.executable, "-c", program, *words],
        "env": [f"PYTHONPATH={ROOT}"],
    }
    bundle, id_ = tmp_path / "bundle", f"tracehound-hook-{os.getpid()}"
    (bundle / "rootfs").mkdir(parents=True)
    shutil.copy(str(shutil.which("busybox")), bundle / "rootfs" / "busybox")
    subprocess.run(["runc", "spec"], cwd=bundle, check=True)
    config = json.loads((bundle / "config.json").read_text())
    config["process"] |= {"terminal": False, "args": ["/busybox", "echo", "began"], "rlimits": []}
    config["annotations"] = {"io.kubernetes.cri.sandbox-namespace": "shop"}
    config["hooks"] = {"createRuntime": [hook]}
    (bundle / "config.json").write_text(json.dumps(config))
    command = ["runc", "run", "--bundle", str(bundle), id_]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
    assert (ended.returncode == 0) is starts, ended.stderr
    assert (b"began" in ended.stdout) is starts
