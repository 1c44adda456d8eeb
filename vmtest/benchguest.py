# SPDX-License-Identifier: Apache-2.0
"""The part of vmtest.bench that runs inside the guest: ``python -m vmtest.benchguest PLAN RESULT``.

The plan and the result are JSON files. The guest has one CPU and its clock counts instructions, so times
taken here are instructions, and what runs meanwhile is on the same clock: a load's wall time is its own
work, the agent's and the kernel's, nothing else.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from vmtest import procfs

if TYPE_CHECKING:
    from agent.kernel.sensor import Sensor

QUIET_S = 1.0
"""The log did not grow for so long: the agent has written what it had."""
START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 60.0

Sample = dict[str, int]
"""One run of one load: ``count``, ``wall_ns``, ``cpu_ns``, and with an agent ``agent_ns``."""


class Written(NamedTuple):
    """Lines of a log: execs of one program, and all events."""

    execs: int
    exec_bytes: int
    events: int
    bytes: int


@dataclass
class Agent:
    """A running agent and the log it writes."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """The process that was started."""
        return self.process.pid

    def lines(self) -> Iterator[bytes]:
        """Every complete line of its log, in order of the files' names."""
        for path in sorted(p for p in self.log.rglob("*.json*") if p.is_file()):
            with contextlib.suppress(FileNotFoundError):
                yield from (
                    line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")
                )

    def size(self) -> int:
        """Bytes of its log, files that are rewritten in place left out."""
        return sum(len(line) for line in self.lines())

    def events(self, program: str) -> Written:
        """What it has written of events, and of execs of a program among them."""
        ours = seen = size = ours_size = 0
        for line in self.lines():
            with contextlib.suppress(ValueError):
                record = json.loads(line)
                if not isinstance(record, dict):
                    continue
                kind = next((k for k in record if k.startswith("process_")), None)
                if kind is None:
                    continue
                seen += 1
                size += len(line)
                if kind == "process_exec" and record[kind]["process"].get("binary") == program:
                    ours += 1
                    ours_size += len(line)
        return Written(ours, ours_size, seen, size)

    def says(self, text: str) -> bool:
        """Whether a line holds this text."""
        return any(text.encode() in line for line in self.lines())

    def count(self, kind: str) -> int:
        """Number of its events of one type."""
        key = f'"{kind}":{{'.encode()
        return sum(key in line for line in self.lines())

    def reported_lost(self) -> int:
        """What the log itself says was lost: the sum of ``loss`` records."""
        lost = 0
        for line in self.lines():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                lost += int(json.loads(line)["tracehound"]["loss"]["count"])
        return lost

    def settle(self) -> None:
        """Wait until it has written everything."""
        size = -1
        while (now := self.size()) != size:
            size = now
            time.sleep(QUIET_S)


def must_live(agent: Agent) -> None:
    """End with the agent's own words when it ended."""
    if agent.process.poll() is not None:
        output = Path("/run/bench-agent.out").read_text(errors="replace")
        raise SystemExit(f"the agent ended with status {agent.process.returncode}:\n{output[-3000:]}")


def run_load(plan: dict[str, Any], load: dict[str, Any], agent: Agent | None) -> Sample:
    """Run one load once."""
    before = procfs.cpu_ns(agent.pid) if agent else 0
    argv = [plan["load"], load["operation"], str(load["count"]), *load["arguments"]]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    sample = {key: value for key, value in json.loads(done.stdout).items() if key != "operation"}
    if agent:
        must_live(agent)
        sample["agent_ns"] = procfs.cpu_ns(agent.pid) - before
        agent.settle()
    return sample


def run_loads(plan: dict[str, Any], agent: Agent | None) -> dict[str, list[Sample]]:
    """Run every load; the first run warms up and is dropped."""
    return {
        load["name"]: [run_load(plan, load, agent) for _ in range(plan["repeat"] + 1)][1:]
        for load in plan["loads"]
    }


@contextlib.contextmanager
def running(plan: dict[str, Any]) -> Iterator[Agent]:
    """Start the agent with an empty log, and stop it in order."""
    log = Path(plan["log"])
    shutil.rmtree(log, ignore_errors=True)
    log.mkdir(parents=True)
    argv = shlex.split(plan["agent"].replace("{log}", str(log)))
    with open("/run/bench-agent.out", "ab") as output:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        yield Agent(process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT_S)
        process.kill()
        process.wait()


def first_event_ns(plan: dict[str, Any], agent: Agent, begin_ns: int) -> int:
    """Exec a program again and again until the log has it; returns the time since the start."""
    while time.monotonic_ns() - begin_ns < START_TIMEOUT_S * 1e9:
        must_live(agent)
        subprocess.run([plan["program"]], check=True)
        if agent.events(plan["program"]).execs:
            return time.monotonic_ns() - begin_ns
        time.sleep(0.01)
    raise SystemExit(f"no event in {plan['log']} after {START_TIMEOUT_S:.0f} s")


def run_stopped(plan: dict[str, Any], agent: Agent) -> dict[str, list[Sample]]:
    """Run every load while the agent is stopped: what is added then is the programs' and the ring's alone."""
    samples: dict[str, list[Sample]] = {load["name"]: [] for load in plan["loads"]}
    for load in plan["loads"]:
        for _ in range(plan["repeat"]):
            agent.process.send_signal(signal.SIGSTOP)
            try:
                samples[load["name"]].append(run_load(plan, load, None))
            finally:
                agent.process.send_signal(signal.SIGCONT)
            agent.settle()
    return samples


def start_and_wait(plan: dict[str, Any], agent: Agent) -> Sample:
    """Time from the start to the first event, and what the agent itself used."""
    first = first_event_ns(plan, agent, time.monotonic_ns())
    used = procfs.cpu_ns(agent.pid)
    agent.settle()
    return {"first_event_ns": first, "cpu_ns": used}


def measure_idle(agent: Agent, seconds: float = 5.0) -> int:
    """The agent's CPU time per second with nothing to do, in ns."""
    before = procfs.cpu_ns(agent.pid)
    time.sleep(seconds)
    return int((procfs.cpu_ns(agent.pid) - before) / seconds)


def measure_events(plan: dict[str, Any], agent: Agent) -> dict[str, int]:
    """One storm of execs: the agent's CPU time until all is written, events, bytes and losses."""
    program, count = plan["program"], plan["storm"]
    first = agent.events(program)
    lost, before = agent.reported_lost(), procfs.cpu_ns(agent.pid)
    subprocess.run([plan["load"], "exec", str(count), program], capture_output=True, check=True)
    # Reading the log takes long on this clock; the agent's own time is not touched by it.
    agent.settle()
    used = procfs.cpu_ns(agent.pid) - before
    written = Written(*(after - now for after, now in zip(agent.events(program), first, strict=True)))
    return {
        "operations": count,
        "events": written.events,
        "agent_ns_per_event": used // max(written.events, 1),
        "bytes_per_event": written.bytes // max(written.events, 1),
        "bytes_per_exec": written.exec_bytes // max(written.execs, 1),
        "lost": count - written.execs,
        "reported_lost": agent.reported_lost() - lost,
    }


def measure_programs(plan: dict[str, Any], agent: Agent) -> dict[str, dict[str, float]]:
    """Run time of the agent's BPF programs per operation, by the kernel's own statistics."""
    switch = Path("/proc/sys/kernel/bpf_stats_enabled")
    switch.write_text("1")
    result = {}
    for load in plan["loads"]:
        before = procfs.bpf_programs(agent.pid)
        run_load(plan, load, agent)
        after = procfs.bpf_programs(agent.pid)
        known = [(before[i], after[i]) for i in after if i in before]
        result[load["name"]] = {
            "ns": sum(b.run_ns - a.run_ns for a, b in known) / load["count"],
            "runs": sum(b.runs - a.runs for a, b in known) / load["count"],
        }
    switch.write_text("0")
    return result


def measure_pairs(plan: dict[str, Any]) -> dict[str, list[float]]:
    """What our programs add, in pairs of short runs: attached and detached, in changing order.

    A boot drifts by more than the programs cost; two runs next to each other do not. Nobody reads the ring
    meanwhile and nobody is woken: it is emptied between the runs.
    """
    from agent.kernel.sensor import Sensor
    from agent.settings import KernelSettings

    sensor = Sensor(KernelSettings())
    sensor.open()
    try:
        return {load["name"]: list(added_in_pairs(plan, load, sensor)) for load in plan["loads"]}
    finally:
        sensor.close()


def added_in_pairs(plan: dict[str, Any], load: dict[str, Any], sensor: Sensor) -> Iterator[float]:
    """Of each pair what the attached run took longer, per operation."""
    for number in range(plan["pairs"] + 1):
        took = {}
        for attached in (True, False) if number % 2 else (False, True):
            if attached:
                sensor.verify_attached()
            else:
                sensor.detach()
            while sensor.ring.drain():
                pass
            sample = run_load(plan, load, None)
            took[attached] = sample["wall_ns"] / sample["count"]
        if number:  # the first one warms up
            yield took[True] - took[False]


def measure(plan: dict[str, Any]) -> dict[str, Any]:
    """Everything, in an order in which caches are warm for all."""
    result: dict[str, Any] = {"kernel": os.uname().release, "alone": run_loads(plan, None)}
    if plan["agent"]:
        with running(plan) as agent:
            # Read once from the host's disk, so that the second start is free of it.
            start_and_wait(plan, agent)
        with running(plan) as agent:
            result["start"] = start_and_wait(plan, agent)
            result["idle_ns_per_s"] = measure_idle(agent)
            result["memory_idle"] = procfs.memory_kb(agent.pid)
            result["with_agent"] = run_loads(plan, agent)
            result["with_stopped"] = run_stopped(plan, agent)
            result["events"] = measure_events(plan, agent)
            result["memory_after"] = procfs.memory_kb(agent.pid)
            maps, programs = procfs.bpf_maps(agent.pid), procfs.bpf_programs(agent.pid)
            result["maps"] = {"count": len(maps), "bytes": sum(m.bytes for m in maps.values())}
            result["programs"] = {"count": len(programs), "bytes": sum(p.bytes for p in programs.values())}
            result["program_time"] = measure_programs(plan, agent)
        result["alone_after"] = run_loads(plan, None)
    if plan["pairs"]:
        result["pairs"] = measure_pairs(plan)
    return result


def main() -> None:
    """Read the plan, measure, write the result."""
    plan_path, result_path = sys.argv[1:]
    plan = json.loads(Path(plan_path).read_text())
    Path(result_path).write_text(json.dumps(measure(plan), indent=1))


if __name__ == "__main__":
    main()
