# SPDX-License-Identifier: Apache-2.0
"""Tracked sockets, as a policy's hook notes them on this kernel."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from agent.kernel.sensor import Sensor
from agent.kernel.sharedmaps import FROM_SENSOR
from agent.policy.engine import Engine
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


def test_a_socket_that_is_freed_is_tracked_no_more(engine: Engine, binder: subprocess.Popen[bytes]) -> None:
    engine.policies.add(POLICY % binder.pid)
    go_on(binder)
    assert tracked(engine) == 1
    go_on(binder)
    end = time.monotonic() + 30
    while tracked(engine) and time.monotonic() < end:
        time.sleep(0.05)
    assert tracked(engine) == 0


def test_without_a_policy_that_tracks_nothing_is_tracked(
    engine: Engine, binder: subprocess.Popen[bytes]
) -> None:
    engine.policies.add(POLICY % binder.pid)
    go_on(binder)
    engine.policies.delete("tracks")
    assert tracked(engine) == 0
