# SPDX-License-Identifier: Apache-2.0
"""A node with many pods: a whole agent, an API server that is late, cgroups and processes in them. Run with
`make bench ARGS="-s -k pods"`; each case prints its figures, docs/performance.md keeps them."""

from __future__ import annotations

import os
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.agent.kernel.cgrouping import Cgroups, cgroups, remove
from tests.e2e.support import Agent, start_agent
from tests.kube.fake import Fake
from tests.kube.talk import kubeconfig

pytestmark = [pytest.mark.bench, pytest.mark.root]
NODE = "node-1"
LAG_S = 1.0
CONTAINERS = 1000
PODS, POLICIES = 250, 50
ROUNDS = 8
OURS = "be4cbe4c"
"""In the ids of our containers: there may be others on this machine."""
OPENER = "import sys, time\nwhile True:\n open(sys.argv[1]).close()\n time.sleep(0.001)"


class Node:
    """A node, its API server and its agent."""

    def __init__(self, place: Path, stack: ExitStack) -> None:
        self.fake = Fake()
        stack.callback(self.fake.close)
        self.cgroups: Cgroups = stack.enter_context(cgroups())
        self.place = place
        (place / "token").write_text("agent")
        self.config = kubeconfig(place, self.fake.url, place / "token")
        self.fake.put("nodes", {"metadata": {"name": NODE}})
        self.fake.put("namespaces", {"metadata": {"name": "shop"}})
        self._stack = stack

    def start(self) -> Agent:
        """The agent, watching."""
        chosen = [f"node_name={NODE}", f"identity.kubeconfig={self.config}", "identity.runtimes=false"]
        agent = start_agent(self.place, [*chosen, "metrics.listen=127.0.0.1:2199"])
        self._stack.callback(agent.stop)
        return agent

    def put(self, number: int, *, is_running: bool = True, app: str = "") -> None:
        """A pod, and once its kubelet has told it, its container."""
        status: dict[str, Any] = {"phase": "Running" if is_running else "Pending"}
        if is_running:
            state = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
            one = {"name": "main", "image": "web:1", "imageID": "", "ready": True, "restartCount": 0}
            status["containerStatuses"] = [
                {**one, "containerID": f"containerd://{identity(number)}", "state": state}
            ]
        labels = {"app": app or f"web{number}", "tier": "front", "pod-template-hash": "7f9c"}
        metadata = {"name": f"pod-{number}", "namespace": "shop", "uid": uid(number), "labels": labels}
        containers = [{"name": "main", "image": "web:1"}]
        spec = {"nodeName": NODE, "containers": containers}
        self.fake.put("pods", {"metadata": metadata, "spec": spec, "status": status})

    def policy(self, name: str, app: str, file: str) -> None:
        """An object: opens of a file by the pods of an app."""
        match = {"index": 1, "operator": "Equal", "values": [file]}
        hook = {"call": "sys_openat", "syscall": True, "args": [{"index": 1, "type": "string"}]}
        spec = {
            "podSelector": {"matchLabels": {"app": app}},
            "kprobes": [{**hook, "selectors": [{"matchArgs": [match]}]}],
        }
        self.fake.put("tracingpolicies", {"metadata": {"name": name}, "spec": spec})

    def make(self, number: int) -> Path:
        """A container's cgroup."""
        return self.cgroups.make(f"kubepods/besteffort/pod{uid(number)}/{identity(number)}")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """Without an agent."""
    with ExitStack() as stack:
        yield Node(tmp_path, stack)


def identity(number: int) -> str:
    """Id of a container."""
    return f"{number:08x}{OURS}{os.getpid():08x}".ljust(64, "c")


def uid(number: int) -> str:
    """Of a pod."""
    return f"{number:08x}-be4c-4444-8888-999999999999"


@pytest.mark.parametrize("is_there", [False, True], ids=["pods late", "containers late"])
def test_short_containers_of_an_api_server_that_is_late(node: Node, is_there: bool) -> None:
    agent = node.start()
    late: list[threading.Timer] = []
    said: dict[str, float] = {}

    def say(number: int) -> None:
        node.put(number)
        said[identity(number)[:31]] = time.time()

    for number in range(CONTAINERS):
        if is_there:
            node.put(number, is_running=False)
        made = node.make(number)
        node.cgroups.run(made, ["true"]).wait()
        remove(made)
        late.append(threading.Timer(LAG_S, say, [number]))
        late[-1].start()
    for one in late:
        one.join()
    agent.wait(lambda: len(named(agent)) >= CONTAINERS, "not all are known")
    waits = sorted(wait_s(process, line, named(agent)) for process, line in first_execs(agent))
    in_time = sum(one <= 2 for one in waits) / CONTAINERS
    at_once = sum(one == 0 for one in waits) / CONTAINERS
    since = sorted(stamp(line) - said[id_] for id_, line in named(agent).items())
    print(f"\nat once {at_once:.1%}, after 2 s {in_time:.1%}, the last one after {waits[-1]:.2f} s")
    print(f"after the API server's word: {since[len(since) // 2]:.3f} s, at most {since[-1]:.3f} s")
    assert len(waits) == CONTAINERS


def named(agent: Agent) -> dict[str, dict[str, Any]]:
    """By container, the first record that names its pod."""
    found: dict[str, dict[str, Any]] = {}
    for record in agent.own_records("container_update"):
        update = record["tracehound"]["container_update"]
        if update.get("pod", {}).get("name") and update["id"][8:16] == OURS:
            assert update["pod"]["name"] == f"pod-{int(update['id'][:8], 16)}"
            found.setdefault(update["id"][:31], record)
    return found


def first_execs(agent: Agent) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Of each container."""
    return [(one["process_exec"]["process"], one) for one in agent.records if is_first(one)]


def wait_s(process: dict[str, Any], line: dict[str, Any], updates: dict[str, dict[str, Any]]) -> float:
    """Seconds from the exec to the record that names its pod; 0 where the event itself does."""
    if name := process.get("pod", {}).get("name"):
        assert name == f"pod-{int(process['docker'][:8], 16)}"
        return 0.0
    return stamp(updates[process["docker"]]) - stamp(line)


def stamp(line: dict[str, Any]) -> float:
    """Wall-clock seconds."""
    return datetime.fromisoformat(line["time"]).timestamp()


def is_first(line: dict[str, Any]) -> bool:
    """Whether it is the exec of a container's own program."""
    process = line.get("process_exec", {}).get("process", {})
    return str(process.get("binary", "")).endswith("/true") and process.get("docker", "")[8:16] == OURS


def test_a_policy_is_in_force_after_its_pod_is_there(node: Node, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("x")
    node.policy("secrets", "wanted", str(file))
    agent = node.start()
    agent.wait(lambda: agent.own_records("policy"), "no policy")
    found: list[float] = []
    for number in range(ROUNDS):
        node.cgroups.run(node.make(number), [sys.executable, "-c", OPENER, str(file)])
        agent.wait(lambda n=number: opened(agent, n, "process_exec"), "no exec")  # type: ignore[misc]
        time.sleep(0.2)
        begin = time.time()
        node.put(number, app="wanted")
        agent.wait(lambda n=number: opened(agent, n, "process_kprobe"), "no event")  # type: ignore[misc]
        found.append(stamp(opened(agent, number, "process_kprobe")[0]) - begin)
    print(f"\nin force after {statistics.median(found) * 1000:.0f} ms, at most {max(found) * 1000:.0f} ms")
    assert max(found) < 5


def opened(agent: Agent, number: int, kind: str) -> list[dict[str, Any]]:
    """Events of one kind of one container."""
    wanted = identity(number)[:31]
    lines = [one for one in agent.records if one.get(kind, {}).get("process", {}).get("docker") == wanted]
    return [one for one in lines if kind != "process_exec" or "python" in one[kind]["process"]["binary"]]


def test_a_node_with_many_pods_and_policies(node: Node) -> None:
    for number in range(PODS):
        node.put(number)
        node.cgroups.run(node.make(number))
    for number in range(POLICIES):
        node.policy(f"policy-{number}", f"web{number}", f"/srv/secret{number}")
    begin = time.monotonic()
    agent = node.start()
    watching = time.monotonic() - begin
    pod = node.cgroups.top / f"kubepods/besteffort/pod{uid(7)}/{identity(7)}"
    while not any(one["process_exec"]["process"].get("pod") for one in agent.records if is_first(one)):
        node.cgroups.run(pod, ["true"]).wait()
        agent.read()
    first, cpu = time.monotonic() - begin, cpu_s(agent.process.pid)
    agent.wait(lambda: len(agent.own_records("policy")) >= POLICIES, "not all policies")
    time.sleep(15)
    print(f"\nwatching after {watching:.2f} s, first event with a pod after {first:.2f} s, CPU {cpu:.2f} s")
    for pid, name in processes_of(agent.process.pid):
        rss, pss = memory(pid, "Rss"), memory(pid, "Pss")
        print(f"{name}: RSS {rss / 1024:.1f} MB, PSS {pss / 1024:.1f} MB")
    print(
        f"together: PSS {sum(memory(pid, 'Pss') for pid, _ in processes_of(agent.process.pid)) / 1024:.1f} MB"
    )


def cpu_s(pid: int) -> float:
    """CPU time of an agent and its children so far, in seconds (proc(5), schedstat)."""
    return (
        sum(int(Path(f"/proc/{one}/schedstat").read_text().split()[0]) for one, _ in processes_of(pid)) / 1e9
    )


def processes_of(pid: int) -> list[tuple[int, str]]:
    """An agent and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    named = [(int(child), Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")) for child in children]
    return [(pid, "agent"), *((child, b" ".join(words[:4]).decode()[-40:]) for child, words in named)]


def memory(pid: int, what: str) -> int:
    """Kilobytes, without what is mapped of the ring twice (smaps, proc(5))."""
    total, counts = 0, True
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if line[0] in "0123456789abcdef" and "-" in line.split(" ")[0]:
            counts = "bpf-map" not in line and "bpf_ringbuf" not in line
        elif counts and line.startswith(f"{what}:"):
            total += int(line.split()[1])
    return total
