# SPDX-License-Identifier: Apache-2.0
"""The parts of the engine work together on this kernel; tests/agent/test_policing.py asks more of them."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.errors import TracehoundError
from agent.kernel.sensor import Sensor
from agent.kernel.sharedmaps import FROM_SENSOR
from agent.policy import manager
from agent.policy.engine import DESCRIPTORS, Engine
from agent.policy.status import State
from agent.settings import KernelSettings

pytestmark = [pytest.mark.root, pytest.mark.kernel]
POLICY = """\
apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: asks}
spec:
  kprobes:
  - call: sys_getpgid
    syscall: true
    args: [{index: 0, type: int}]
    selectors:
    - matchArgs: [{index: 0, operator: Equal, values: ["4711"]}]
"""


@pytest.fixture(scope="module")
def sensor() -> Iterator[Sensor]:
    sensor = Sensor(replace(KernelSettings(), ring_bytes=1 << 20))
    sensor.open()
    yield sensor
    sensor.close()


@pytest.fixture
def engine(sensor: Sensor) -> Iterator[Engine]:
    made = Engine({name: sensor.map_fd(name) for name in FROM_SENSOR})
    yield made
    made.close()


def ask(pid: int) -> None:
    try:
        os.getpgid(pid)
    except ProcessLookupError:
        return


def test_a_policy_counts_the_calls_that_match(engine: Engine) -> None:
    engine.policies.add(POLICY)
    for pid in (4711, 4712, 4711):
        ask(pid)
    (status,) = engine.policies_now()
    assert status.state is State.ENABLED
    assert sum(one.counts.get("matched", 0) for hook in status.hooks for one in hook.selectors) == 2


def test_word_that_no_enforcer_takes_is_counted(engine: Engine) -> None:
    action = (
        "\n      matchActions: [{action: NotifyEnforcer, argError: -1, argSig: 18}]"  # SIGCONT harms nobody
    )
    engine.policies.add(POLICY.rstrip() + action + "\n  enforcers: [{calls: [sys_getpgid]}]\n")
    call = "import ctypes; [ctypes.CDLL(None).getpgid(4711) for _ in range(3)]"
    # nothing is done to the agent, which is this process, and to its children
    subprocess.run(["/bin/sh", "-c", f"{sys.executable} -c '{call}' && true"], check=True)
    hooks = [hook for status in engine.policies_now() for hook in status.hooks]
    found = [one.counts for hook in hooks for one in hook.selectors if one.counts]
    if len(hooks) == len(found) == 1:  # elsewhere the enforcer took it
        assert (found[0]["notified"], found[0]["missed"]) == (3, 2)
    assert sum(counts.get("notified", 0) for counts in found) == 3


def test_what_is_held_back_from_the_agent_is_counted(engine: Engine) -> None:
    engine.policies.add(POLICY.rstrip() + "\n      matchActions: [{action: Signal, argSig: 18}]\n")
    ask(4711)  # this process stands for the agent
    (hook,) = [hook for status in engine.policies_now() for hook in status.hooks if hook.selectors[0].counts]
    assert hook.selectors[0].counts == {"matched": 1, "protected": 1}


def test_protected_binaries_are_spared_and_what_they_start_is_not(
    sensor: Sensor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shell = shutil.copy(os.path.realpath("/bin/sh"), tmp_path / "protected")
    python = shutil.copy(os.path.realpath(sys.executable), tmp_path / "python")
    monkeypatch.setattr(manager, "PROTECTED", (str(python),))
    asking = tmp_path / "ask.py"
    asking.write_text(
        "import ctypes, os, sys\nctypes.CDLL(None).getpgid(4711)\nos.system(' '.join(sys.argv[1:]))"
    )
    script = f"{python} {asking} {sys.executable} {asking}; true"
    engine = Engine({name: sensor.map_fd(name) for name in FROM_SENSOR})
    try:
        engine.policies.add(POLICY.rstrip() + "\n      matchActions: [{action: Signal, argSig: 18}]\n")
        subprocess.run([shell, "-c", script], check=True, env={"PYTHONHOME": sys.base_prefix, **os.environ})
        (counts,) = [
            one.counts
            for status in engine.policies_now()
            for hook in status.hooks
            for one in hook.selectors
            if one.counts
        ]
    finally:
        engine.close()
    assert (counts["matched"], counts["signalled"], counts["protected"]) == (2, 1, 1)


ADDRESSES = """\
apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: given}
spec:
  kprobes:
  - call: sys_getsockname
    syscall: true
    return: true
    returnArg: {index: 0, type: int}
    args: [{index: 1, type: sockaddr}]
    selectors: [{matchArgs: [{index: 1, operator: SAddr, values: ["192.0.2.7"]}]}]
  - call: sys_getpeername
    syscall: true
    return: true
    returnArg: {index: 0, type: int}
    args: [{index: 1, type: sockaddr_un}]
    selectors: [{matchArgs: [{index: 1, operator: Equal, values: ["@given"]}]}]
"""
OVERWRITING = """
import ctypes, os, socket
def overwritten(call, holder, given):
    place, size = ctypes.create_string_buffer(given, 110), ctypes.c_uint32(110)
    assert call(holder.fileno(), place, ctypes.byref(size)) == 0
    assert place.raw[:len(given)] != given
libc, net = ctypes.CDLL(None), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server, client = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
server.bind(bytes(1) + b"another %d" % os.getpid())
server.listen()
client.connect(server.getsockname())
overwritten(libc.getsockname, net, bytes([2, 0, 18, 103, 192, 0, 2, 7]))
overwritten(libc.getpeername, client, bytes([1, 0, 0]) + b"given")
"""


def test_an_address_is_judged_at_the_return_as_it_was_given(engine: Engine) -> None:
    engine.policies.add(ADDRESSES)
    script = f"{sys.executable} -c '{OVERWRITING}' && true"  # not a child of the agent, which is this process
    subprocess.run(["/bin/sh", "-c", script], check=True)
    (status,) = engine.policies_now()
    posted = [(hook.function, one.counts.get("posted", 0)) for hook in status.hooks for one in hook.selectors]
    told = {name for name, count in posted if count == 1}
    assert {name.partition("sys_")[2] for name in told} == {"getsockname", "getpeername"}, posted


def test_planning_that_fails_names_the_policy(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.policy.engine.plan_policy", lambda policy, view: {}[policy.name])
    with pytest.raises(TracehoundError, match="asks: cannot be planned: KeyError"):
        engine.policies.add(POLICY)


def test_the_view_of_the_kernel_is_given_back(engine: Engine) -> None:
    engine.policies.add(POLICY)
    assert engine._view is not None
    engine.rest()
    assert engine._view is not None, "another change may follow at once"
    engine.rest(at_once=True)
    assert engine._view is None


def test_after_the_end_nothing_is_left(sensor: Sensor) -> None:
    def once() -> int:
        engine = Engine({name: sensor.map_fd(name) for name in FROM_SENSOR})
        engine.policies.add(POLICY)
        engine.close()
        return len(os.listdir("/proc/self/fd"))

    assert once() == once()


def test_many_hooks_may_hold_many_descriptors(sensor: Sensor) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, before[1]))
    try:
        Engine({name: sensor.map_fd(name) for name in FROM_SENSOR}).close()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] in (DESCRIPTORS, before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
