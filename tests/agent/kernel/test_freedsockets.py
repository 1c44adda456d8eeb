# SPDX-License-Identifier: Apache-2.0
"""Tracked sockets, as a policy's hook notes them on this kernel."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from agent.kernel.freedsockets import FreedSockets
from agent.kernel.libbpf import libbpf
from agent.kernel.sensor import Sensor
from agent.kernel.sharedmaps import FROM_SENSOR
from agent.policy.engine import Engine
from agent.policy.listed import listed
from agent.settings import KernelSettings
from tests.e2e.cases import lacks

pytestmark = [pytest.mark.kernel, pytest.mark.root]
POLICY = """\
apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: tracks}
spec:
  kprobes:
  - call: security_socket_bind
    syscall: false
    args: [{index: 0, type: socket}]
    selectors:
    - matchPIDs: [{operator: In, values: [%d]}]
      matchActions: [{action: TrackSock, argSock: 0}, {action: NoPost}]
"""
BINDS = """
import socket, sys
sys.stdin.readline()
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
print("bound", flush=True)
sys.stdin.readline()
s.close()
print("closed", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def engine() -> Iterator[Engine]:
    if reason := lacks(["function"]):
        pytest.skip(reason)
    sensor = Sensor(replace(KernelSettings(), ring_bytes=1 << 20))
    sensor.open()
    made = Engine({name: sensor.map_fd(name) for name in FROM_SENSOR})
    yield made
    made.close()
    sensor.close()


@pytest.mark.parametrize(("preempts", "attach"), [(False, "fentry"), (True, "kprobe")])
def test_sockets_are_seen_going_in_a_way_that_is_not_skipped(
    engine: Engine, preempts: bool, attach: str
) -> None:
    freed = FreedSockets(lambda: preempts)
    freed.follow(engine.shared.map("sockets"))
    state = freed.state()
    freed.close()
    assert state is not None
    assert (state.attach, state.is_attached) == (attach, True)


@pytest.fixture
def binder() -> Iterator[subprocess.Popen[bytes]]:
    """A process that binds a socket when it gets a line, and closes it at the next one."""
    child = subprocess.Popen([sys.executable, "-c", BINDS], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    yield child
    child.communicate()


def go_on(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin
    assert child.stdout
    child.stdin.write(b"\n")
    child.stdin.flush()
    assert child.stdout.readline()


def tracked(engine: Engine) -> int:
    return len(engine.shared.map("sockets").keys(8))


def forgotten(engine: Engine) -> bool:
    """Waits for the kernel to free sockets."""
    end = time.monotonic() + 30
    while tracked(engine) and time.monotonic() < end:
        time.sleep(0.05)
    return tracked(engine) == 0


def test_a_socket_that_is_freed_is_tracked_no_more(engine: Engine, binder: subprocess.Popen[bytes]) -> None:
    engine.policies.add(POLICY % binder.pid)
    go_on(binder)
    assert tracked(engine) == 1
    go_on(binder)
    assert forgotten(engine)


def test_without_a_policy_that_tracks_nothing_is_tracked(
    engine: Engine, binder: subprocess.Popen[bytes]
) -> None:
    engine.policies.add(POLICY % binder.pid)
    go_on(binder)
    engine.policies.delete("tracks")
    assert tracked(engine) == 0


def test_it_is_attached_again_when_somebody_detached_it(
    engine: Engine, binder: subprocess.Popen[bytes]
) -> None:
    engine.policies.add(POLICY % binder.pid)
    loaded = engine.hooks._freed._object
    assert loaded is not None
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), libbpf().bpf_link__fd(loaded._links[engine.hooks._freed._way]))
    (gone,) = [key for key, is_attached in engine.attached().items() if not is_attached]
    assert "freed sockets" in gone.target
    assert engine.renew(gone)
    assert all(engine.attached().values())
    go_on(binder)
    assert tracked(engine) == 1
    go_on(binder)
    assert forgotten(engine)


def test_its_memory_is_the_tracking_policy_s(engine: Engine, binder: subprocess.Popen[bytes]) -> None:
    plain = POLICY.replace("{action: TrackSock, argSock: 0}, ", "").replace("tracks", "plain")
    engine.policies.add(plain % binder.pid)
    engine.policies.add((POLICY % binder.pid).replace("security_socket_bind", "security_socket_listen"))
    told = {one["name"]: one for one in listed(engine.policies_now())}
    assert told["plain"]["hooks"][0]["shared"] == {}
    shared = told["tracks"]["hooks"][0]["shared"]
    assert shared["sockets"] > 100_000
    assert shared["freed sockets"] >= 4096
    assert told["tracks"]["memory_bytes"] > sum(shared.values())


def test_without_a_policy_that_tracks_nothing_is_checked(engine: Engine) -> None:
    engine.policies.add(POLICY % 1)
    engine.policies.delete("tracks")
    assert engine.attached() == {}
