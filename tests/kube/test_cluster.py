# SPDX-License-Identifier: Apache-2.0
"""The chart in a real cluster of VMs: `make kubetest API=cluster`. The cases follow each other."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.kube.cluster.control import PARTS, Cluster, say
from tests.kube.cluster.image import write_image
from tests.kube.cluster.node import Node, Parts
from tests.kube.real import CACHE, binary

pytestmark = [pytest.mark.root, pytest.mark.timeout(1800)]
ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "tracehound"
OBJECTS = Path(__file__).resolve().parent / "cluster" / "objects"
IMAGE = Path(os.environ.get("TRACEHOUND_IMAGE", ROOT / "dist" / "tracehound-image.tar"))
OLDEST = 27
"""Of Kubernetes 1: its kubelet reads `containerRuntimeEndpoint` in its configuration."""
SPACE = ("-n", "tracehound")
WATCH = "while sleep 0.5; do pgrep -f 'tracehound.* run --output' >/dev/null || date +%s; done"
"""Prints seconds (of the node's clock, since 1970) in which no agent runs."""
LOADED = f"{ROOT}/.venv/bin/python -m tests.kube.cluster.loaded"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """With a node, or as many as TRACEHOUND_KUBE_NODES says."""
    if os.environ.get("TRACEHOUND_KUBE_API") != "cluster":
        pytest.skip("make kubetest API=cluster boots a cluster")
    need()
    directory = tmp_path_factory.mktemp("cluster")
    write_image(directory / "busybox.tar")
    images = (directory / "busybox.tar", IMAGE.resolve())
    crio = os.environ.get("TRACEHOUND_CRIO")
    parts = Parts(
        binaries(), images, "crio" if crio else "containerd", os.environ.get("TRACEHOUND_CGROUPS", "cgroupfs")
    )
    found = Cluster(directory, int(os.environ.get("TRACEHOUND_KUBE_NODES", "1")), parts)
    try:
        yield found
    finally:
        found.close()


def need() -> None:
    """Skips where something is missing."""
    for name in PARTS:
        if binary(name) is None:
            pytest.skip(f"no {name}: name a directory by TRACEHOUND_KUBE_BINARIES")
    told = subprocess.run([str(binary("kubelet")), "--version"], check=True, capture_output=True, text=True)
    if int(told.stdout.split(".")[1]) < OLDEST:
        pytest.skip("no newer kubelet: name a directory by TRACEHOUND_KUBE_BINARIES")
    for name in ("helm", "kubectl"):
        if not (CACHE / name).is_file():
            pytest.skip(f"no {name}: tests/chart/fetch.sh fetches it")
    runtime = (
        ("crio", "pinns", "conmon", "podman") if os.environ.get("TRACEHOUND_CRIO") else ("containerd", "ctr")
    )
    places = ":".join([*map(str, binaries()), os.environ["PATH"], "/usr/lib/cni"])
    for name in (*runtime, "runc", "bridge", "busybox", "openssl", "mkfs.ext4", "qemu-system-x86_64"):
        if not shutil.which(name, path=places):
            pytest.skip(f"no {name} here")
    if not IMAGE.is_file():
        pytest.skip("no image: make image")


def binaries() -> tuple[Path, ...]:
    """Where a node finds what runs on it."""
    names = ("TRACEHOUND_CONTAINERD", "TRACEHOUND_CRIO", "TRACEHOUND_RUNC")
    kubelet = binary("kubelet")
    found = [Path(os.environ[name]).resolve() for name in names if os.environ.get(name)]
    return (*found, *([kubelet.resolve().parent] if kubelet else []))


def maps_ids() -> bool:
    """Whether runc can show files to a user namespace under other ids, as kubelets want it (runc 1.2)."""
    runc = shutil.which("runc", path=":".join([*map(str, binaries()), os.environ["PATH"]]))
    done = subprocess.run([str(runc), "features"], capture_output=True, check=False)
    told = json.loads(done.stdout) if done.returncode == 0 else {}
    return bool(told.get("linux", {}).get("mountExtensions", {}).get("idmap", {}).get("enabled"))


def image_name() -> str:
    """The name that the archive gives it."""
    told = subprocess.run(["tar", "-xOf", IMAGE, "manifest.json"], check=True, capture_output=True).stdout
    return str(json.loads(told)[0]["RepoTags"][0])


def values(**more: str) -> list[str]:
    """What the release is installed with: the chart's defaults but for the image and the cluster's name."""
    repository, _, tag = image_name().rpartition(":")
    asked = {"image.repository": repository, "image.tag": tag, "clusterName": "try", **more}
    return [word for name, value in asked.items() for word in ("--set", f"{name}={value}")]


def ready(cluster: Cluster) -> bool:
    """Whether an agent of the newest revision is ready on each node."""
    (told,) = json.loads(cluster.kubectl("get", "ds", *SPACE, "-o", "json"))["items"] or [{"status": {}}]
    status = told["status"]
    is_new = status.get("observedGeneration") == told["metadata"]["generation"]
    return is_new and status.get("updatedNumberScheduled") == status.get("numberReady") == len(cluster.nodes)


def agent_of(cluster: Cluster, node: str) -> str:
    """The agent's pod on a node."""
    chosen = ("--field-selector", f"spec.nodeName={node},status.phase=Running")
    return cluster.kubectl("get", "pods", *SPACE, *chosen, "-o", "name").split()[0]


def tracehound(cluster: Cluster, node: str, *words: str) -> str:
    """What the agent's command says on a node."""
    return cluster.kubectl("exec", *SPACE, agent_of(cluster, node), "--", "tracehound", *words)


def node_of_web(cluster: Cluster) -> Node:
    """Where the pod of Deployment web runs."""
    told = cluster.kubectl("get", "pods", "-n", "shop", "-l", "part=plain", "-o", "json")
    name = json.loads(told)["items"][0]["spec"]["nodeName"]
    return next(node for node in cluster.nodes if node.name == name)


class Mark(NamedTuple):
    """A place in the log of each node."""

    at: float
    """In monotonic seconds."""
    numbers: dict[str, int]


def last(cluster: Cluster) -> Mark:
    """The newest event of each node."""
    numbers = {}
    for node in cluster.nodes:
        line = tracehound(cluster, node.name, "events", "-n", "1", "-o", "json")
        numbers[node.name] = int(json.loads(line)["tracehound"]["sequence"])
    return Mark(time.monotonic(), numbers)


def events(cluster: Cluster, node: str, after: Mark, kind: str) -> list[dict[str, Any]]:
    """What a node's log holds of a kind, of what came after a mark."""
    since = f"{time.monotonic() - after.at + 60:.0f}s"
    text = tracehound(cluster, node, "events", "-o", "json", "--since", since, "--type", kind)
    found = [json.loads(line) for line in text.splitlines()]
    return [one for one in found if one["tracehound"]["sequence"] > after.numbers[node]]


def execs(cluster: Cluster, after: Mark) -> list[dict[str, Any]]:
    """Processes of execs in containers, on all nodes."""
    told = [one for node in cluster.nodes for one in events(cluster, node.name, after, "process_exec")]
    found = [one["process_exec"]["process"] for one in told if "process_exec" in one]
    return [one for one in found if one.get("docker")]


def shell(cluster: Cluster, workload: str, command: str) -> str:
    """What a command in a workload's pod says."""
    return cluster.kubectl("exec", "-n", "shop", f"deploy/{workload}", "--", "sh", "-c", command, check=False)


def row(cluster: Cluster, kind: str, name: str) -> list[str]:
    """Of `kubectl get`, without the age."""
    told = cluster.kubectl("get", kind, "-A", "--no-headers", check=False)
    found = [re.split(r"\s{2,}", line.strip()) for line in told.splitlines() if name in line]
    return found[0][:-1] if found else []


def test_nodes_become_ready(cluster: Cluster) -> None:
    cluster.until("nodes", lambda: cluster.kubectl("get", "nodes").count(" Ready ") == len(cluster.nodes))
    say(cluster.kubectl("get", "nodes", "-o", "wide"))
    assert not json.loads(cluster.nodes[0].run(LOADED))["programs"]


def test_the_daemon_set_becomes_ready(cluster: Cluster) -> None:
    cluster.helm("install", "tracehound", str(CHART), *SPACE, "--create-namespace", *values())
    cluster.until("agents", lambda: ready(cluster))
    say(cluster.kubectl("get", "pods", *SPACE, "-o", "wide"))


def test_execs_of_a_pod_name_it_from_the_first_on(cluster: Cluster) -> None:
    before = last(cluster)
    cluster.apply((OBJECTS / "shop.yaml").read_text())
    cluster.kubectl("rollout", "status", "-n", "shop", "deploy/web", "deploy/other", "--timeout=900s")
    time.sleep(10)
    found = execs(cluster, before)
    web = [one for one in found if one.get("pod", {}).get("workload") == "web"]
    say(f"{len(found)} execs in containers, {len(web)} of them of Deployment web")
    assert not [one for one in found if not one.get("pod")]
    assert len(web) > 5 and {one["pod"]["workload_kind"] for one in web} == {"Deployment"}


def test_a_policy_denies_in_the_selected_pod_only(cluster: Cluster) -> None:
    cluster.apply((OBJECTS / "deny.yaml").read_text())
    for workload, answer in (("web", "Operation not permitted"), ("other", "welcome")):
        cluster.until(
            f"{answer!r} in {workload}",
            lambda w=workload, a=answer: a in shell(cluster, w, "cat /etc/motd"),
        )
        assert "root" in shell(cluster, workload, "cat /etc/group")


def test_a_pod_in_a_user_namespace_is_known_and_denied_too(cluster: Cluster) -> None:
    if not maps_ids():
        pytest.skip("this runc gives pods no user namespace")
    before = last(cluster)
    cluster.apply((OBJECTS / "mapped.yaml").read_text())
    cluster.kubectl("rollout", "status", "-n", "shop", "deploy/mapped", "--timeout=900s")
    say(shell(cluster, "mapped", "cat /proc/self/uid_map"))
    assert "Operation not permitted" in shell(cluster, "mapped", "cat /etc/motd")
    inside = shell(cluster, "mapped", "ls /proc/self/ns >/tmp/x; echo $$").split()[-1]
    time.sleep(5)
    found = execs(cluster, before)
    mapped = [one for one in found if one.get("pod", {}).get("workload") == "mapped"]
    asked = [one for one in mapped if "echo $$" in one.get("arguments", "")]
    say(f"{len(mapped)} execs, users {sorted({one['uid'] for one in mapped})}, pid {inside}: {asked}")
    assert {str(one["pod"]["container"]["pid"]) for one in asked} == {inside}
    assert not [one for one in found if not one.get("pod")]


def test_kubectl_says_where_policies_are_in_force(cluster: Cluster) -> None:
    cluster.apply((OBJECTS / "broken.yaml").read_text())
    nodes = len(cluster.nodes)
    cluster.until("a line", lambda: row(cluster, "tgtpn", "deny-motd")[2:] == [f"{nodes}/{nodes}"])
    cluster.until("each node's answer", lambda: row(cluster, "tgtp", "broken")[1:2] == [f"0/{nodes}"])
    say(cluster.kubectl("get", "tgtp,tgtpn", "-A"))
    assert "no_such_function" in " ".join(row(cluster, "tgtp", "broken"))


def test_a_rolling_update_keeps_enforcement(cluster: Cluster) -> None:
    node = node_of_web(cluster)
    node.run(f"({WATCH}) >/run/gap 2>&1 </dev/null &")
    shell(cluster, "web", ": >/tmp/tries")
    cluster.helm("upgrade", "tracehound", str(CHART), *SPACE, *values(**{"podLabels.turn": "second"}))
    cluster.until("the next agents", lambda: ready(cluster))
    tries = [line.split() for line in shell(cluster, "web", "cat /tmp/tries").splitlines()]
    gap = set(node.run("cat /run/gap").split())
    meanwhile = [second for _, second in tries if second in gap]
    read = [second for result, second in tries if result != "denied"]
    say(f"{len(tries)} tries to read, {len(meanwhile)} of them in {len(gap)} s without an agent")
    say(f"{len(read)} of them were not denied: {read}; no agent until {max(gap, default='never')}")
    assert tries and meanwhile and not read


def test_what_is_uninstalled_leaves_nothing_in_the_kernel(cluster: Cluster) -> None:
    for node in cluster.nodes:
        tracehound(cluster, node.name, "policy", "disable", "--all")
    cluster.helm("uninstall", "tracehound", *SPACE, "--wait")
    cluster.until(
        "the end of the agents", lambda: "/" not in cluster.kubectl("get", "pods", *SPACE, "-o", "name")
    )
    for node in cluster.nodes:
        left = json.loads(node.run(LOADED))
        say(f"{node.name}: {left}")
        assert not left["programs"] and not left["links"]
    assert "welcome" in shell(cluster, "web", "cat /etc/motd")
