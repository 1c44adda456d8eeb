# SPDX-License-Identifier: Apache-2.0
"""A real containerd that holds its containers (NRI) until a real agent's policies know them.

TRACEHOUND_CONTAINERD names the directory of a containerd of 2.0 or newer, its shim and ctr, where that on
the path is older; TRACEHOUND_PODS how many are made one after the other (5)."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.identity.runtimes import SourceError
from agent.settings import IdentitySettings, PolicySettings
from tests.agent.running import Running
from tests.agent.running import running as running_agent
from tests.kube.pods import Kubelet, Pod, import_image
from tests.kube.test_runtimes import CONTAINERD, need, running, until

pytestmark = pytest.mark.root
NRI = """\
[plugins."io.containerd.nri.v1.nri"]
  disable = false
  socket_path = "{0}/nri.sock"
  plugin_path = "{0}/plugins"
  plugin_config_path = "{0}/conf.d"
"""
REQUIRED = """\
  [plugins."io.containerd.nri.v1.nri".default_validator]
    enable = true
    required_plugins = ["tracehound"]
"""
POLICY = """\
apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: first}
spec:
  podSelector: {matchLabels: {app: web}}
  kprobes:
  - call: sys_brk
    syscall: true
    args: [{index: 0, type: uint64}]
    selectors: [{matchActions: [{action: Post}]}]
"""
"""On what a program of the C library calls first: where its heap ends now, `brk(0)`."""


@pytest.fixture
def kubelet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Kubelet]:
    """Makes pods of a containerd with NRI; a parameter is added to its configuration."""
    more = getattr(request, "param", "")
    monkeypatch.setenv(
        "PATH", f"{os.environ.get('TRACEHOUND_CONTAINERD', '')}:{os.environ['PATH']}".strip(":")
    )
    need("containerd", "runc", "busybox", "ctr")
    version = subprocess.run(["containerd", "--version"], check=True, capture_output=True, text=True).stdout
    if version.split()[2].removeprefix("v").startswith(("0.", "1.")):
        pytest.skip("this containerd is older than 2.0 and has no NRI")
    (tmp_path / "config.toml").write_text((CONTAINERD + NRI + more).format(tmp_path))
    with running(tmp_path / "log", "containerd", "--config", str(tmp_path / "config.toml")):
        until((tmp_path / "nri.sock").is_socket)
        until((tmp_path / "containerd.sock").is_socket)
        import_image(tmp_path / "containerd.sock", tmp_path)
        made = Kubelet(tmp_path / "containerd.sock")
        yield made
        made.close()


def settings(place: Path, *fail_closed: str) -> dict[str, Any]:
    """Nobody but NRI can tell an agent of labels."""
    (place / "first.yaml").write_text(POLICY)
    return {
        "identity": IdentitySettings(
            kubernetes=False,
            sockets=(f"cri:{place}/nobody.sock",),
            nri=str(place / "nri.sock"),
            nri_fail_closed=fail_closed,
            state_file=str(place / "kubernetes.json"),
        ),
        "policies": PolicySettings(files=(str(place / "first.yaml"),), dirs=(), persist=False),
    }


def source(agent: Running) -> dict[str, Any]:
    """What it says of NRI."""
    found: dict[str, Any] = agent.following.identifying.health.get("nri") or {}
    return found


def begin(agent: Running) -> None:
    """Until its policies run and the runtime knows the plugin."""
    agent.daemon.policing.start(agent.daemon.settings.policies)
    assert agent.until(lambda: source(agent).get("state") == "fresh", 60)


def run_beside(agent: Running, kubelet: Kubelet, count: int) -> list[Pod]:
    """Pods, one after the other, while the agent works."""
    pods: list[Pod] = []
    names = [f"web-{number}" for number in range(count)]
    thread = threading.Thread(
        target=lambda: pods.extend(kubelet.run(name, ["/busybox", "sleep", "600"]) for name in names)
    )
    thread.start()
    assert agent.until(lambda: not thread.is_alive(), 300)
    thread.join()
    return pods


def test_a_policy_of_labels_holds_from_a_containers_first_system_call(
    kubelet: Kubelet, tmp_path: Path
) -> None:
    count = int(os.environ.get("TRACEHOUND_PODS", "5"))
    with running_agent(tmp_path / "agent", "real", **settings(tmp_path)) as agent:
        begin(agent)
        pods = run_beside(agent, kubelet, count)
        assert len(pods) == count and agent.until(lambda: all(first_call(agent, pod) for pod in pods), 60)
        assert {first_call(agent, pod) for pod in pods} == {"0"}
        assert agent.until(lambda: source(agent)["counts"] == {"held": count, "late": 0, "refused": 0}, 60)
        for pod in pods:
            update = agent.updates(pod.container)[-1]
            assert (update["source"], update["pod"]["pod_labels"]) == ("nri", {"app": "web"})


def first_call(agent: Running, pod: Pod) -> str:
    """The argument of the first call that the policy saw in a container; empty while there is none."""
    calls = [line["process_kprobe"] for line in agent.lines() if "process_kprobe" in line]
    found = [
        one["args"][0]["size_arg"] for one in calls if one["process"].get("docker") == pod.container[:31]
    ]
    return str(found[0]) if found else ""


def test_containers_that_run_already_are_told_when_the_plugin_comes(kubelet: Kubelet, tmp_path: Path) -> None:
    pod = kubelet.run("web-1", ["/busybox", "sleep", "600"])
    with running_agent(tmp_path / "agent", "real", **settings(tmp_path)) as agent:
        assert agent.until(
            lambda: [one["source"] for one in agent.updates(pod.container)][-1:] == ["nri"], 60
        )
        assert agent.updates(pod.container)[-1]["pod"]["pod_labels"] == {"app": "web"}


def test_a_container_starts_while_the_agent_hangs_and_one_that_is_fail_closed_does_not(
    kubelet: Kubelet, tmp_path: Path
) -> None:
    with running_agent(tmp_path / "agent", "real", **settings(tmp_path)) as agent:
        begin(agent)
        assert kubelet.run("web-1", ["/busybox", "sleep", "600"])
        assert agent.until(lambda: source(agent)["counts"]["late"] == 1, 60)
        assert len(run_beside(agent, kubelet, 1)) == 1
        assert agent.until(lambda: source(agent)["counts"]["held"] == 1, 60)
    with running_agent(tmp_path / "closed", "real", **settings(tmp_path, "sh*")) as agent:
        begin(agent)
        with pytest.raises(SourceError, match="namespace shop is fail-closed: the agent did not answer"):
            kubelet.run("web-2", ["/busybox", "sleep", "600"])


def test_a_plugin_that_hangs_is_dropped_by_the_runtime_and_comes_back(
    kubelet: Kubelet, tmp_path: Path
) -> None:
    with running_agent(tmp_path / "agent", "real", **settings(tmp_path)) as agent:
        begin(agent)
        child = agent.following.identifying.state()["pid"]
        os.kill(child, signal.SIGSTOP)
        assert kubelet.run("web-1", ["/busybox", "sleep", "600"])
        os.kill(child, signal.SIGCONT)
        log = tmp_path / "log"
        assert agent.until(lambda: log.read_text().count("connected and synchronized") == 2, 60)
        assert len(run_beside(agent, kubelet, 1)) == 1


@pytest.mark.parametrize("kubelet", [REQUIRED], indirect=True)
def test_a_runtime_that_requires_the_plugin_starts_nothing_without_it(
    kubelet: Kubelet, tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match='required plugin "tracehound" not present'):
        kubelet.run("web-1", ["/busybox", "sleep", "600"])
    with running_agent(tmp_path / "agent", "real", **settings(tmp_path)) as agent:
        begin(agent)
        assert len(run_beside(agent, kubelet, 1)) == 1
