# SPDX-License-Identifier: Apache-2.0
"""What policies cost in the kernel, measured inside the guest: ``python -m vmtest.policyguest PLAN RESULT``.

No agent runs: this process loads the policies with the agent's own engine and waits while the load runs, on
the one CPU whose clock counts instructions. So the load's time is its own work and the kernel's. Afterwards
it empties the ring.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from agent.kernel.probes import Answer
from agent.kernel.sensor import Sensor
from agent.kernel.sharedmaps import FROM_SENSOR
from agent.kernel.view import KernelView
from agent.policy.engine import Engine
from agent.settings import KernelSettings
from vmtest import benchguest, procfs

FUNCTION, KIND = "security_file_open", "process_kprobe"
NO_FENTRY = {kind: Answer(there=False, reason="left out by the bench") for kind in ("fentry", "fexit")}
"""What a kernel without fentry tells."""


class Case(NamedTuple):
    """One set of policies."""

    name: str
    policies: list[str]
    known: Mapping[str, Answer] = {}
    """As KernelView takes it."""


def file_policy(name: str, prefixes: list[str], spec: str = "") -> str:
    """A policy on files that are opened below one of these directories."""
    return f"""\
apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {{name: {name}}}
spec:{spec}
  kprobes:
  - call: {FUNCTION}
    syscall: false
    args: [{{index: 0, type: file}}]
    selectors:
    - matchArgs: [{{index: 0, operator: Prefix, values: {json.dumps(prefixes)}}}]
"""


def others(number: int) -> list[str]:
    """Directories that the load does not open anything in, others for each number."""
    return [
        f"/etc/secrets{number}/",
        f"/root/.ssh{number}/",
        f"/var/log/app{number}/",
        f"/boot/grub{number}/",
    ]


def pods(number: int) -> str:
    """A policy on everything that is opened, by pods that are not there."""
    spec = f"\n  podSelector: {{matchLabels: {{app: web{number}}}}}"
    return file_policy(f"pods-{number}", ["/run/"], spec)


MATCHING = file_policy("matching", ["/run/bench/tiny"])


def cases() -> list[Case]:
    """Everything that is measured, by name."""
    silent = [file_policy(f"silent-{n}", others(n)) for n in range(100)]
    return [
        Case("1 policy that does not match", silent[:1]),
        Case("10 policies that do not match", silent[:10]),
        Case("100 policies that do not match", silent),
        Case("1 policy that does not match, kprobe", silent[:1], NO_FENTRY),
        Case("1 policy that matches", [MATCHING]),
        Case("1 policy for pods that are not there", [pods(0)]),
        Case("11 policies for pods that are not there", [pods(n) for n in range(11)]),
    ]


@contextlib.contextmanager
def loaded(case: Case, sensor: Sensor) -> Iterator[Engine]:
    """The case's policies in the kernel."""
    engine = Engine({name: sensor.map_fd(name) for name in FROM_SENSOR})
    engine._view = KernelView(case.known)
    try:
        for policy in case.policies:
            engine.policies.add(policy)
        yield engine
    finally:
        engine.close()


def opens_cost(plan: Mapping[str, Any], sensor: Sensor) -> float:
    """Nanoseconds, so instructions, of one open and close: the median of the runs."""
    argv = [plan["load"], "open", str(plan["opens"]), plan["program"]]
    found: list[float] = []
    for _ in range(plan["repeat"] + 1):
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        found.append(json.loads(done.stdout)["wall_ns"] / plan["opens"])
        while sensor.ring.drain():
            pass
    return statistics.median(found[1:])


def measure_case(case: Case, plan: Mapping[str, Any], sensor: Sensor) -> dict[str, Any]:
    """One row of the result."""
    begin = time.monotonic_ns()
    with loaded(case, sensor) as engine:
        ready = time.monotonic_ns()
        cost = opens_cost(plan, sensor)
        states = list(engine.states().values())
        return {
            "cost": cost,
            "load_ns": ready - begin,
            "hooks": [f"{state.attach} {state.target}" for state in states],
            "memory": sum(state.memory_bytes for state in states),
            "verified": sum(state.instructions for state in states),
            "matched": sum(
                selector.counts.get("matched", 0)
                for status in engine.policies_now()
                for hook in status.hooks
                for selector in hook.selectors
            ),
        }


def measure_agent(plan: dict[str, Any]) -> dict[str, int]:
    """As many matching opens as the CPU makes while the agent runs on it, too, and what became of them."""
    policy = Path("/run/bench-matching.yaml")
    policy.write_text(MATCHING)
    wanted = {**plan, "agent": f"{plan['agent']} --policy {policy}"}
    count = plan["matching_opens"]
    with benchguest.running(wanted) as agent:
        benchguest.start_and_wait(wanted, agent)
        while not agent.says('"action":"added"'):
            benchguest.must_live(agent)
            time.sleep(0.5)
        before, used = agent.count(KIND), procfs.cpu_ns(agent.pid)
        subprocess.run([plan["load"], "open", str(count), plan["program"]], capture_output=True, check=True)
        agent.settle()
        used = procfs.cpu_ns(agent.pid) - used
        events = agent.count(KIND) - before
        return {
            "operations": count,
            "events": events,
            "reported_lost": agent.reported_lost(),
            "agent_ns_per_event": used // max(events, 1),
        }


def measure(plan: dict[str, Any]) -> dict[str, Any]:
    """All cases; alone before and after tells how far the figures can be trusted."""
    sensor = Sensor(replace(KernelSettings(), ring_bytes=16 << 20))
    sensor.open()
    try:
        found: dict[str, Any] = {"kernel": os.uname().release, "cases": {}}
        found["alone"] = opens_cost(plan, sensor)
        for case in cases():
            if not plan.get("only") or any(word in case.name for word in plan["only"]):
                found["cases"][case.name] = measure_case(case, plan, sensor)
        found["alone_after"] = opens_cost(plan, sensor)
    finally:
        sensor.close()
    if plan["agent"] and not plan.get("only"):
        found["agent"] = measure_agent(plan)
    return found


def main() -> None:
    """Read the plan, measure, write the result."""
    plan_path, result_path = sys.argv[1:]
    plan = json.loads(Path(plan_path).read_text())
    Path(result_path).write_text(json.dumps(measure(plan), indent=1))


if __name__ == "__main__":
    main()
