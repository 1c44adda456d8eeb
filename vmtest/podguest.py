# SPDX-License-Identifier: Apache-2.0
"""What policies of many workloads cost a process in a pod, measured inside the guest:
``python -m vmtest.podguest PLAN RESULT``.

As in vmtest.policyguest no agent runs. One of the pods is a real cgroup, in which the load runs; the others
are entries of the map only, which is all that the kernel has of a pod.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.enrich.home import Home
from agent.enrich.registry import Registry, Seen
from agent.kernel.cgroups import container_directory
from agent.kernel.sensor import Sensor
from agent.kernel.sharedmaps import FROM_SENSOR
from agent.policy.engine import Engine
from agent.settings import KernelSettings
from vmtest.policyguest import file_policy, opens_cost, others

PODS, POLICIES = 500, 256
"""A node's pods, and policies for a workload each: as many as there are classes (agent/policy/classes.py)."""
TOGETHER = 128
"""Policies that are loaded in one change, as at a start (agent/policy/desk.py): one by one each of them would
have the hook compiled and verified again."""
UPDATES = 20
"""Pods whose labels change, one after the other."""
ELSEWHERE = 1 << 40
"""Ids of cgroups that there are not."""


def policy(number: int) -> str:
    """For the pods of one app. Nothing here opens a file below its directories."""
    spec = f"\n  podSelector: {{matchLabels: {{app: web{number}}}}}"
    return file_policy(f"pods-{number}", others(number), spec)


class Pods:
    """A node's pods; the first is a real cgroup."""

    def __init__(self, count: int) -> None:
        self.registry = Registry(time.monotonic)
        root = container_directory()
        assert root is not None
        path = f"/kubepods/pod{uid(0)}/{identity(0)}"
        self.real = root / path.lstrip("/")
        self.real.mkdir(parents=True, exist_ok=True)
        for number in range(count):
            cgroup_id = self.real.stat().st_ino if number == 0 else ELSEWHERE + number
            self.registry.seen(Seen(cgroup_id, cgroup_id, f"/kubepods/pod{uid(number)}/{identity(number)}"))
            self.label(number, number)

    def label(self, number: int, app: int) -> Home:
        """The pod belongs to this app now."""
        pod = {"namespace": "shop", "name": f"pod-{number}", "uid": uid(number)}
        labels = {"app": f"web{app}", "tier": "front", "pod-template-hash": "7f9c"}
        container = {"id": identity(number), "name": "main", "image": {"name": "registry.example/web:1"}}
        self.registry.answer(
            {"id": identity(number), "state": "known", "source": "kubernetes", "container": container}
            | {"pod": {**pod, "pod_labels": labels}}
        )
        return self.registry.by_id[identity(number)]

    def homes(self) -> list[Home]:
        """All."""
        return list(self.registry.by_id.values())


def identity(number: int) -> str:
    """Id of a container."""
    return f"{number:064x}"


def uid(number: int) -> str:
    """Of a pod."""
    return f"{number:08x}-2222-3333-4444-555555555555"


def measure_case(policies: int, count: int, plan: Mapping[str, Any], sensor: Sensor) -> dict[str, Any]:
    """So many policies and pods; the load runs in the pod that the first policy means, and on the host."""
    pods = Pods(count)
    engine = Engine({name: sensor.map_fd(name) for name in FROM_SENSOR}, homes=pods.homes)
    joined = {**plan, "load": str(write_joiner(pods.real, plan["load"]))}
    try:
        begin = time.process_time_ns()
        load(engine, policies)
        ready = time.process_time_ns()
        updates = [update(engine, pods, count - 1 - number) for number in range(min(UPDATES, count - 1))]
        return {
            "in_pod": opens_cost(joined, sensor),
            "on_host": opens_cost(plan, sensor),
            "update_ns": statistics.median(updates) if updates else 0,
            "load_ns": ready - begin,
            "hooks": [f"{state.attach} {state.target}" for state in engine.states().values()],
        }
    finally:
        engine.close()


def load(engine: Engine, policies: int) -> None:
    """The policies of so many apps. Raises RuntimeError where the engine does not take them."""
    read = [one for number in range(policies) for one in engine.policies.read(policy(number))]
    for at in range(0, policies, TOGETHER):
        if not engine.policies.add_new(read[at : at + TOGETHER]):
            raise RuntimeError(f"policies {at} and further are not taken")


def update(engine: Engine, pods: Pods, number: int) -> int:
    """Nanoseconds, so instructions, until policies hold for a pod whose labels have changed."""
    home = pods.label(number, number + 1)
    begin = time.process_time_ns()
    engine.containers_changed([home])
    return time.process_time_ns() - begin


def write_joiner(cgroup: Path, load: str) -> Path:
    """A program that is the load, in a pod."""
    script = Path("/run/bench/in-pod")
    script.write_text(f'#!/bin/sh\necho $$ > {cgroup}/cgroup.procs && exec {load} "$@"\n')
    script.chmod(0o755)
    return script


def measure(plan: dict[str, Any]) -> dict[str, Any]:
    """One policy and one pod, then all."""
    sensor = Sensor(replace(KernelSettings(), ring_bytes=16 << 20))
    sensor.open()
    try:
        found: dict[str, Any] = {"kernel": os.uname().release, "cases": {}}
        for policies, count in ((0, 1), (1, 1), (1, PODS), (POLICIES, PODS)):
            name = f"{policies} policies, {count} pods"
            found["cases"][name] = measure_case(policies, count, plan, sensor)
            print(f"{name}: {found['cases'][name]}", flush=True)
    finally:
        sensor.close()
    return found


def main() -> None:
    """Read the plan, measure, write the result."""
    plan_path, result_path = sys.argv[1:]
    plan = json.loads(Path(plan_path).read_text())
    Path(result_path).write_text(json.dumps(measure(plan), indent=1))


if __name__ == "__main__":
    main()
