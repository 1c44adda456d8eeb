# SPDX-License-Identifier: Apache-2.0
"""How long an event takes to become a detection's line, while so many events come in a second:

    python -m tests.bench.detected [--rate 5000] [--seconds 20]

Half of the events are execs of a tiny program, half are exits; fifty programs a second besides match one of a
hundred rules made for it. The library runs, and the public Linux collection where it is there. Prints
JSON; times are milliseconds from the event (`time`, by the kernel's clock) to its line (`detected`).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent.log.times import parse_time
from tests.agent.detect.sigma_rules import CORPUS
from tests.bench.rate import cpu_s, settled
from tests.e2e.support import Agent, start_agent

ROOT = Path(__file__).resolve().parents[2]
RULES, HITS = 100, 50
"""Rules of our own, and their hits a second: of one rule and story twenty a minute are told."""
RULE = """\
title: mark {number}
logsource: {{product: linux, category: process_creation}}
detection:
  mark: {{CommandLine|endswith: ' mark-{number}'}}
  condition: mark
level: low
"""


def main() -> None:
    """Runs once, in a directory that is removed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=int, default=5000, help="execs and exits a second")
    parser.add_argument("--seconds", type=int, default=20, help="at most 40")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("needs root")
    with tempfile.TemporaryDirectory(prefix="detected-") as name:
        print(json.dumps(measured(Path(name).resolve(), options.rate, min(options.seconds, 40))))


def measured(root: Path, rate: int, seconds: int) -> dict[str, Any]:
    """One run."""
    load, tiny = root / "load", root / "tiny"
    build = [os.environ.get("CC", "cc"), "-O2", "-static"]
    subprocess.run([*build, "-o", load, ROOT / "vmtest/load.c"], check=True)
    subprocess.run([*build, "-DTINY", "-nostdlib", "-o", tiny, ROOT / "vmtest/load.c"], check=True)
    ours = root / "rules"
    ours.mkdir()
    for number in range(RULES):
        (ours / f"{number}.yml").write_text(RULE.format(number=number))
    dirs = [str(ours), *([str(CORPUS)] if CORPUS.is_dir() else [])]
    agent = start_agent(root, ("detect.library=true", f"detect.rules={','.join(dirs)}", "detect.dirs="))
    try:
        rules = wait_for_rules(agent)
        before = cpu_s(agent)
        running = subprocess.Popen([load, "exec", str(rate * seconds // 2), tiny, str(rate // 2)], stdout=-1)
        marks = mark(tiny, seconds)
        told = json.loads(running.communicate()[0])
        used = settled(agent) - before
    finally:
        agent.process.send_signal(signal.SIGINT)
        agent.process.wait(120)
    took = sorted(latencies(agent.log_dir))
    return {
        "rules": rules,
        "events_a_second": round(2 * (told["count"] + marks) / (told["wall_ns"] / 1e9)),
        "agent_cpu_s": round(used, 2),
        "hits": marks,
        "detections": len(took),
        "median_ms": round(statistics.median(took), 1),
        "p99_ms": round(took[int(len(took) * 0.99)], 1),
        "most_ms": round(took[-1], 1),
    }


def wait_for_rules(agent: Agent) -> int:
    """How many run."""
    agent.wait(lambda: agent.own_records("rules"), "no rules run")
    return int(agent.own_records("rules")[-1]["tracehound"]["rules"]["loaded"])


def mark(tiny: Path, seconds: int) -> int:
    """Runs what rules are for, evenly; returns how many times."""
    begin, count = time.monotonic(), 0
    while time.monotonic() - begin < seconds:
        os.waitpid(os.posix_spawn(tiny, [str(tiny), f"mark-{count % RULES}"], {}), 0)
        count += 1
        time.sleep(max(0.0, begin + count / HITS - time.monotonic()))
    return count


def latencies(log: Path) -> Iterator[float]:
    """Milliseconds of each detection of our rules."""
    for path in sorted(log.glob("*.jsonl")):
        for line in path.open("rb"):
            if line.startswith(b'{"tracehound"') and b'"detected"' in line:
                record = json.loads(line)
                found = record["tracehound"]["detection"]
                if found["rule"]["title"].startswith("mark "):
                    yield (parse_time(found["detected"]) - parse_time(record["time"])) / 1e6


if __name__ == "__main__":
    main()
