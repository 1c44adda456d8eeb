# SPDX-License-Identifier: Apache-2.0
"""Whether an agent with a core of its own loses nothing of so many matching file opens a second:

    python -m tests.bench.rate [--rate 50000] [--seconds 10] [--files 16]

The agent runs on the last CPU, the load on the others: a process for each file that the policy names.
Opens are seen at the system call, which every kernel has. Prints JSON: events, losses, CPU of the agent.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import yaml

from tests.e2e.support import Agent, start_agent

ROOT = Path(__file__).resolve().parents[2]
_EVENT = (b'{"process_kprobe"', b'{"process_tracepoint"')
_OWN = b'{"tracehound"'


def main() -> None:
    """Runs once, in a directory that is removed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=int, default=50_000, help="opens a second, all files together")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--files", type=int, default=16)
    options = parser.parse_args()
    if os.geteuid() != 0 or len(os.sched_getaffinity(0)) < 2:
        sys.exit("needs root, and a CPU for the agent beside one for the load")
    with tempfile.TemporaryDirectory(prefix="rate-") as name:
        print(json.dumps(measured(Path(name).resolve(), options.rate, options.seconds, options.files)))


def policy(files: list[Path]) -> dict[str, Any]:
    """Opens of these, by the name that the caller gives."""
    selector = {"matchArgs": [{"index": 1, "operator": "Equal", "values": [str(file) for file in files]}]}
    call = {
        "call": "sys_openat",
        "syscall": True,
        "args": [{"index": 0, "type": "int"}, {"index": 1, "type": "string"}],
        "selectors": [selector],
    }
    head = {"apiVersion": "cilium.io/v1alpha1", "kind": "TracingPolicy", "metadata": {"name": "rate"}}
    return {**head, "spec": {"kprobes": [call]}}


def measured(root: Path, rate: int, seconds: int, count: int) -> dict[str, Any]:
    """One run."""
    *others, last = sorted(os.sched_getaffinity(0))
    load, files = root / "load", [root / f"file-{number}" for number in range(count)]
    source = ROOT / "vmtest/load.c"
    subprocess.run([os.environ.get("CC", "cc"), "-O2", "-static", "-o", load, source], check=True)
    for file in files:
        file.touch()
    (root / "policy.yaml").write_text(yaml.safe_dump(policy(files)))
    os.sched_setaffinity(0, {last})
    agent = start_agent(root, (f"policies.files={root / 'policy.yaml'}", "log.fsync_seconds=-1"))
    os.sched_setaffinity(0, set(others))
    try:
        begin = cpu_s(agent)
        each = rate * seconds // count
        argv: list[list[str | Path]] = [[load, "open", str(each), file, str(rate // count)] for file in files]
        running = [subprocess.Popen(words, stdout=subprocess.PIPE) for words in argv]
        told = [json.loads(one.communicate()[0]) for one in running]
        used = settled(agent) - begin
    finally:
        agent.process.send_signal(signal.SIGINT)
        agent.process.wait(120)
    seen, lost = found(agent.log_dir)
    wall_s = max(one["wall_ns"] for one in told) / 1e9
    return {
        "opens": each * count,
        "opens_a_second": round(each * count / wall_s),
        "events": seen,
        "lost": lost,
        "agent_cpu_s": round(used, 2),
        "events_for_each_second_of_cpu": round(seen / used),
    }


def found(log: Path) -> tuple[int, dict[str, int]]:
    """Events of the policy in the log, and what is lost by cause."""
    events, lost = 0, Counter[str]()
    for path in log.glob("*.jsonl"):
        for line in path.open("rb"):
            events += line.startswith(_EVENT)
            if line.startswith(_OWN) and "loss" in (own := json.loads(line)["tracehound"]):
                lost[own["loss"]["cause"]] += own["loss"]["count"]
    return events, dict(lost)


def settled(agent: Agent) -> float:
    """CPU seconds of the agent once it has nothing more to do."""
    before, now = -1.0, cpu_s(agent)
    while now - before > 0.05:
        time.sleep(0.5)
        before, now = now, cpu_s(agent)
    return now


def cpu_s(agent: Agent) -> float:
    """CPU seconds of the agent itself."""
    times = psutil.Process(agent.process.pid).cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()
