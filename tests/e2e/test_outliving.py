# SPDX-License-Identifier: Apache-2.0
"""What a policy for pods denies stays denied while no agent runs, and while the next one takes over."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from agent.kernel.posts import places
from agent.remembered import NAME as REMEMBERED
from tests.agent.kernel.cgrouping import Cgroups, cgroups
from tests.agent.kernel.support import mounted_bpffs
from tests.e2e.cases import lacks
from tests.e2e.support import Agent, Event, start_agent
from tests.kube.fake import Fake
from tests.kube.talk import kubeconfig

pytestmark = [pytest.mark.root, pytest.mark.kernel, pytest.mark.spread]
NODE = "node-1"
OURS = os.urandom(6).hex()
HEAD = """
apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {{name: secrets}}
spec:
  podSelector: {{matchLabels: {{app: wanted}}}}
  kprobes:
"""
DENY = """\
  - call: security_file_open
    syscall: false
    args: [{{index: 0, type: file}}]
    selectors:
    - matchArgs: [{{index: 0, operator: Equal, values: ["{secret}"]}}]
      matchActions: [{{action: Override, argError: -1}}]
"""
TELL = """\
  - call: sys_openat
    syscall: true
    args: [{{index: 1, type: string}}]
    selectors:
    - matchArgs: [{{index: 1, operator: Equal, values: ["{secret}"]}}]
"""
LOOP = """
import sys, time
while True:
    try:
        print(open(sys.argv[1]).read(), time.time(), flush=True)
    except PermissionError:
        time.sleep(0.02)
"""
"""A process of the pod, and nothing but that."""
COUNT = """
import os, signal, sys, time
ends = []
signal.signal(signal.SIGTERM, lambda *_: ends.append(1))
calls = 0
while not ends:
    os.close(os.open(sys.argv[1], os.O_RDONLY))
    calls += 1
    time.sleep(0.001)
print(calls)
"""
"""One that tells how often it opened the file."""
FORKS = 'while :; do cat "$0" 2>/dev/null; sleep 0.5; done'
"""One whose children execute other programs."""


class World:
    """A node with two pods, one of which must not read a file, and no agent yet."""

    def __init__(self, place: Path, stack: ExitStack) -> None:
        self.place = place
        self.secret = place / "secret"
        self.secret.write_text("secret\n")
        self.pins = stack.enter_context(mounted_bpffs(place / "bpf")) / "th"
        self.cgroups: Cgroups = stack.enter_context(cgroups())
        self.fake = Fake()
        stack.callback(self.fake.close)
        self.fake.put("nodes", {"metadata": {"name": NODE}})
        self.fake.put("namespaces", {"metadata": {"name": "shop"}})
        (place / "token").write_text("agent")
        self.wanted, self.other = self.pod(1, "wanted"), self.pod(2, "other")
        self._stack = stack

    def pod(self, number: int, app: str) -> Path:
        """A pod with one container; gives the container's cgroup."""
        one = {"name": "main", "image": "web:1", "imageID": "", "ready": True, "restartCount": 0}
        state: dict[str, Any] = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
        container = {**one, "containerID": f"containerd://{identity(number)}", "state": state}
        uid = f"{number:08x}-{OURS[:4]}-4444-8888-{OURS}"
        metadata = {"name": f"pod-{number}", "namespace": "shop", "uid": uid, "labels": {"app": app}}
        spec = {"nodeName": NODE, "containers": [{"name": "main", "image": "web:1"}]}
        status = {"phase": "Running", "containerStatuses": [container]}
        self.fake.put("pods", {"metadata": metadata, "spec": spec, "status": status})
        return self.cgroups.make(f"kubepods/besteffort/pod{uid}/{identity(number)}")

    def start(self, hook: str, *settings: str) -> Agent:
        """A service, as far as pins are concerned, with a policy for the first pod."""
        (self.place / "secrets.yaml").write_text((HEAD + hook).format(secret=self.secret))
        config = kubeconfig(self.place, self.fake.url, self.place / "token")
        chosen = [f"node_name={NODE}", f"identity.kubeconfig={config}", "identity.runtimes=false"]
        chosen.append(f"identity.state_file={self.place / 'kubernetes.json'}")
        policies = [f"policies.files={self.place / 'secrets.yaml'}", "policies.persist=true"]
        agent = start_agent(self.place, [*chosen, *policies, f"kernel.pin_dir={self.pins}", *settings])
        self._stack.callback(kill, agent)
        return agent

    def reads(self, cgroup: Path, command: str = 'cat "$0"') -> bool:
        """Whether a process that begins in this cgroup now can read the file."""
        return b"secret" in self.cgroups.run(cgroup, ["sh", "-c", command, str(self.secret)]).communicate()[0]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(tmp_path, stack)


def identity(number: int) -> str:
    """Id of a container; of this run, whatever one that was killed has left."""
    return f"{number:08x}{OURS}".ljust(64, "e")


def kill(agent: Agent) -> None:
    """As the kernel kills it when memory is short."""
    agent.process.kill()
    agent.process.wait(60)


def test_calls_of_new_processes_are_judged_without_an_agent(world: World) -> None:
    first = world.start(TELL)
    first.wait(lambda: world.reads(world.wanted) and events(first), "it is not told")
    check_that_it_is_told(first, world)
    kill(first)
    for _ in range(3):
        assert world.reads(world.wanted)
        assert world.reads(world.wanted, '(sh -c "cat $0")')
        assert world.reads(world.other)
    second = world.start(TELL)
    second.wait(lambda: hooks_lost(second), "the gap is not told")
    assert hooks_lost(second)["policy"] == 6
    assert all(hooks_lost(second)[hook] >= 15 for hook in ("exec", "fork", "exit"))
    check_that_it_is_told(second, world)


def test_each_call_is_told_or_counted_once_while_one_agent_follows_another(world: World) -> None:
    first = world.start(TELL)
    first.wait(lambda: world.reads(world.wanted) and events(first), "it is not told")
    check_that_it_is_told(first, world)
    kill(first)
    child = world.cgroups.run(world.wanted, [sys.executable, "-c", COUNT, str(world.secret)])
    second = world.start(TELL)
    second.wait(lambda: hooks_lost(second).get("policy"), "the gap is not told")
    second.wait(lambda: events_of(second, child.pid)[100:], "it is not told any more")
    child.terminate()
    calls = int(child.communicate()[0])
    second.ended(child.pid)
    seen = len(events_of(second, child.pid)) + hooks_lost(second)["policy"]
    assert calls - skipped(second) <= seen <= calls


def test_a_pod_stays_denied_without_an_agent_and_while_the_next_one_starts(world: World) -> None:
    if reason := lacks(["deny"]):
        pytest.skip(reason)
    first = world.start(DENY)
    first.wait(lambda: not world.reads(world.wanted), "it is not denied")
    secret = str(world.secret)
    commands = [[sys.executable, "-c", LOOP, secret], ["sh", "-c", FORKS, secret]]
    old = [world.cgroups.run(world.wanted, command) for command in commands]
    assert world.reads(world.other)
    kill(first)
    assert not world.reads(world.wanted)
    assert not world.reads(world.wanted, '(sh -c "cat $0")')
    assert world.reads(world.other)
    second = world.start(DENY)
    second.wait(lambda: second.own_records("start")[1:], "no second start")
    second.wait(lambda: hooks_lost(second).get("policy"), "the gap is not told")
    assert not world.reads(world.wanted)
    assert world.reads(world.other)
    for child in old:
        child.kill()
        assert child.communicate()[0] == b""
    check_that_it_is_told(second, world)
    second.process.terminate()
    assert second.process.wait(60) == 0
    assert not world.reads(world.wanted)
    check_that_nothing_stays(world)


def test_policies_hold_for_pods_that_nobody_answers_for_any_more(world: World) -> None:
    first = world.start(TELL)
    first.wait(lambda: world.reads(world.wanted) and events(first), "it is not told")
    first.wait(lambda: identity(1) in (world.place / REMEMBERED).read_text(), "it is not remembered")
    kill(first)
    world.fake.hangs = True
    second = world.start(TELL)
    second.wait(lambda: hooks_lost(second), "the gap is not told")
    check_that_it_is_told(second, world)
    assert world.reads(world.other)
    assert {event["process"]["pod"]["name"] for event in events(second)} == {"pod-1"}


def test_what_no_policy_asks_any_more_ends_with_the_agent(world: World) -> None:
    socket = f"api.socket={world.place / 'socket'}"
    agent = world.start(TELL, socket)
    agent.wait(lambda: list(places(world.pins)), "nothing is kept")
    program = Path(sys.executable).with_name("tracehound")
    command = [program, "policy", "disable", "--all", "--set", socket]
    subprocess.run(command, check=True, capture_output=True)
    agent.process.terminate()
    assert agent.process.wait(60) == 0
    assert list(places(world.pins)) == []


def hooks_lost(agent: Agent) -> dict[str, int]:
    """What was missed while no agent ran."""
    losses = [record["tracehound"]["loss"] for record in agent.own_records("loss")]
    return {loss["hook"]: loss["count"] for loss in losses if loss["cause"] == "agent_down"}


def events(agent: Agent) -> list[Event]:
    """Of the policy."""
    return [record["process_kprobe"] for record in agent.records if "process_kprobe" in record]


def events_of(agent: Agent, pid: int) -> list[Event]:
    """The same, of one process."""
    return [event for event in events(agent) if event["process"]["pid"] == pid]


def skipped(agent: Agent) -> int:
    """Calls that the kernel let pass by the hooks, at most (`enum turn` in kprobes/include/shared.h)."""
    losses = [record["tracehound"]["loss"] for record in agent.own_records("loss")]
    return sum(loss["count"] for loss in losses if loss["cause"] == "recursion")


def check_that_it_is_told(agent: Agent, world: World) -> None:
    """Of a process of the pod that reads the file: its execs, its exit and the policy's event, each once."""
    child = world.cgroups.run(world.wanted, ["cat", str(world.secret)])
    child.communicate()
    life = agent.ended(child.pid)
    assert [one["process_exec"]["process"]["binary"].rpartition("/")[2] for one in life.execs] == [
        "sh",
        "cat",
    ]
    agent.wait(lambda: events_of(agent, child.pid), "no event of the policy")
    (event,) = events_of(agent, child.pid)
    assert event["process"]["exec_id"] == life.last["exec_id"] == life.end["process"]["exec_id"]


def check_that_nothing_stays(world: World) -> None:
    """Once somebody has said so, without an agent."""
    assert list(places(world.pins))
    program = Path(sys.executable).with_name("tracehound")
    flags = ["--all", "--offline", "--set", f"kernel.pin_dir={world.pins}"]
    subprocess.run([program, "policy", "disable", *flags], check=True, capture_output=True)
    assert list(world.pins.glob("*")) == []
    assert world.reads(world.wanted)
