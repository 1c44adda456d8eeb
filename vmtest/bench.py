# SPDX-License-Identifier: Apache-2.0
"""What an agent costs, in instructions: ``python -m vmtest.bench`` (``make bench-vm``).

A VM with one emulated CPU whose clock advances 1 ns per instruction makes times repeat to about 1 %,
whatever else the machine does. The same loads run alone, with the agent, and alone again. The comparison of
the two runs alone tells how far the figures can be trusted.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vmtest import machine
from vmtest.__main__ import ready
from vmtest.kernels import CACHE, ROOT, VmtestError

DEFAULT_AGENT = ".venv/bin/tracehound run --output none --log-dir {log}"
RESULTS = ROOT / ".cache" / "bench"
GUEST = Path("/run/bench")
PARTS = {
    "base": "vmtest.benchguest",
    "policies": "vmtest.policyguest",
    "pods": "vmtest.podguest",
    "estimates": "vmtest.estimateguest",
}
"""What is measured, each in a boot of its own."""


def main() -> int:
    """Build the load, boot, measure, print."""
    options = parser().parse_args()
    try:
        result = run(options)
    except VmtestError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 125
    print("\n".join(report(result)))
    target = options.json or RESULTS / f"{time.strftime('%Y%m%dT%H%M%S')}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(result, indent=1) + "\n")
    print(f"\nwritten to {target}")
    return 0


def parser() -> argparse.ArgumentParser:
    """The flags."""
    flags = argparse.ArgumentParser(prog="python -m vmtest.bench", description=__doc__)
    flags.add_argument("--kernel", default="6.12", metavar="LABEL")
    flags.add_argument(
        "--agent", default=DEFAULT_AGENT, help="start command, {log} is its log's directory; '' for none"
    )
    flags.add_argument("--execs", type=int, default=300, help="fork+exec+exit per run")
    flags.add_argument("--opens", type=int, default=3000, help="open+close per run")
    flags.add_argument("--calls", type=int, default=20000, help="getppid per run")
    flags.add_argument("--storm", type=int, default=2000, help="execs in a row when events are counted")
    flags.add_argument(
        "--matching-opens", type=int, default=20000, help="opens in a row with a policy that matches"
    )
    flags.add_argument("--repeat", type=int, default=5, help="runs per load; the median counts")
    flags.add_argument(
        "--pairs", type=int, default=30, help="pairs of runs with our programs attached and detached"
    )
    flags.add_argument(
        "--estimates", type=int, default=200, help="calls of each hook that `policy explain` is compared by"
    )
    flags.add_argument("--only", choices=tuple(PARTS), help="one part; the default is all")
    flags.add_argument("--timeout", type=float, default=1800, metavar="S")
    flags.add_argument("--json", type=Path, metavar="FILE", help="where the result goes")
    return flags


def make_plan(options: argparse.Namespace) -> dict[str, Any]:
    """What the guest is to do."""
    program = str(GUEST / "tiny")
    loads = [
        ("fork+exec+exit", "exec", options.execs, [program]),
        ("open+close", "open", options.opens, [program]),
        ("getppid", "getppid", options.calls, []),
    ]
    return {
        "agent": options.agent,
        "log": str(GUEST / "log"),
        "load": str(GUEST / "load"),
        "program": program,
        "repeat": options.repeat,
        "storm": options.storm,
        "opens": options.opens,
        "estimates": options.estimates,
        "matching_opens": options.matching_opens,
        "pairs": options.pairs if options.agent == DEFAULT_AGENT else 0,
        "loads": [
            {"name": name, "operation": operation, "count": count, "arguments": arguments}
            for name, operation, count, arguments in loads
        ],
    }


def build_load(directory: Path) -> None:
    """Compile the load and the program that it executes, both static."""
    source = ROOT / "vmtest" / "load.c"
    common: list[str | Path] = [os.environ.get("CC", "cc"), "-O2", "-static", source]
    tiny = ["-DTINY", "-nostdlib", "-fno-stack-protector"]
    builds = [
        [*common, "-o", directory / "load"],
        [*common, *tiny, "-o", directory / "tiny"],
    ]
    for argv in builds:
        try:
            subprocess.run(argv, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise VmtestError(f"cannot compile {source}: {error}; run ./setup.sh test") from None


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Boot and measure each part; the result as the guests wrote it."""
    found: dict[str, Any] = {"agent": options.agent, "complaints": []}
    for part, module in PARTS.items():
        if options.only in (None, part):
            result = run_guest(options, module)
            found["complaints"] += result.pop("complaints")
            found |= result if part == "base" else {part: result}
    return found


def run_guest(options: argparse.Namespace, module: str) -> dict[str, Any]:
    """One boot; the result as the guest wrote it, and what the kernel complained about."""
    kernel = ready(options.kernel)
    shared = CACHE / "bench" / options.kernel
    shared.mkdir(parents=True, exist_ok=True)
    build_load(shared)
    plan, answer = shared / "plan.json", shared / "result.json"
    plan.write_text(json.dumps(make_plan(options)))
    answer.unlink(missing_ok=True)
    command = (
        f"mkdir -p {GUEST} && cp {shared}/load {shared}/tiny {GUEST}/ && "
        f"exec python -m {module} {plan} {answer}"
    )
    machine_options = machine.Options(icount=True, rwdirs=(shared,), timeout_s=options.timeout)
    outcome = machine.run(kernel, [command], machine_options)
    if outcome.status != 0 or not answer.exists():
        raise VmtestError(f"the measurement ended with status {outcome.status}")
    result: dict[str, Any] = json.loads(answer.read_text())
    result["complaints"] = list(outcome.complaints)
    return result


def per_operation(samples: list[dict[str, int]], what: str) -> float:
    """The median over the runs, per operation."""
    if what == "system":
        # Everything but the agent: the load's own work and the kernel's.
        return statistics.median((s["wall_ns"] - s.get("agent_ns", 0)) / s["count"] for s in samples)
    return statistics.median(s[what] / s["count"] for s in samples)


def report(result: dict[str, Any]) -> Iterator[str]:
    """The result as a table; all times are instructions."""
    if "alone" in result:
        yield from report_base(result)
    if "policies" in result:
        yield from report_policies(result["policies"])
    if "pods" in result:
        yield from report_pods(result["pods"])
    if "estimates" in result:
        yield from report_estimates(result["estimates"])
    yield from (f"the kernel says: {line}" for line in result["complaints"])


def report_policies(found: dict[str, Any]) -> Iterator[str]:
    """What policies add to one open and close."""
    base, after = found["alone"], found["alone_after"]
    yield f"kernel {found['kernel']}: open+close {base:,.0f} instructions, afterwards {after / base - 1:+.1%}"
    yield ""
    columns = " ".join(f"{title:>10}" for title in ("added", "KiB", "verified", "to load"))
    yield f"{'policies':45} {columns}  attached"
    for name, case in found["cases"].items():
        numbers = (case["memory"] / 1024, case["verified"], case["load_ns"])
        told = " ".join(f"{number:10,.0f}" for number in numbers)
        yield f"{name:45} {case['cost'] - base:+10,.0f} {told}  {', '.join(case['hooks'])}"
    if "agent" in found:
        told = found["agent"]
        yield ""
        yield (
            f"{told['operations']:,} matching opens: {told['events']:,} events, "
            f"{told['reported_lost']:,} lost; the agent took "
            f"{told['agent_ns_per_event']:,} instructions for each"
        )


def report_pods(found: dict[str, Any]) -> Iterator[str]:
    """What policies for pods cost in a pod and outside, and what a change of a pod's labels takes."""
    yield f"kernel {found['kernel']}: instructions of open+close"
    columns = f"{'in a pod':>10} {'on the host':>12} {'update':>12} {'load':>15}"
    yield f"{'policies for a workload each, pods':40} {columns}"
    for name, case in found["cases"].items():
        told = f"{case['in_pod']:10,.0f} {case['on_host']:12,.0f} {case['update_ns']:12,.0f}"
        yield f"{name:40} {told} {case['load_ns']:15,.0f}"


def report_estimates(found: dict[str, Any]) -> Iterator[str]:
    """What `policy explain` says of a call, and what the kernel counted."""
    yield f"kernel {found['kernel']}: instructions of a call"
    columns = " ".join(f"{title:>9}" for title in ("calls", "matched", "measured", "estimate", "times"))
    yield f"{'policy':24} {'function':26} {'attached':9} {columns}"
    for row in found["rows"]:
        named = f"{row['policy']:24} {row['function']:26} {row['attach']:9}"
        times = row["estimate"] / row["measured"]
        numbers = " ".join(f"{row[name]:9,.0f}" for name in ("runs", "matched", "measured", "estimate"))
        yield f"{named} {numbers} {times:9.2f}"


def report_base(result: dict[str, Any]) -> Iterator[str]:
    """What the agent costs without policies."""
    yield f"kernel {result['kernel']}, agent: {result['agent'] or 'none'}"
    yield ""
    columns = " ".join(f"{title:>10}" for title in ("alone", "added", "stopped", "BPF alone"))
    yield f"{'instructions per operation':30} {columns} {'drift':>7}"
    for name, alone in result["alone"].items():
        base = per_operation(alone, "system")
        line = f"{name:30} {base:10,.0f}"
        if "with_agent" in result:
            added = per_operation(result["with_agent"][name], "system") - base
            drift = per_operation(result["alone_after"][name], "system") / base - 1
            still = per_operation(result["with_stopped"][name], "system") - base
            inside = result["program_time"][name]["ns"]
            line += f" {added:+10,.0f} {still:+10,.0f} {inside:10,.0f} {drift:+7.1%}"
        yield line
    if "pairs" in result:
        yield ""
        yield f"{'attached against detached, pairs':33} {'quartiles of what was added':>40}"
        for name, added in result["pairs"].items():
            low, middle, high = statistics.quantiles(added, n=4)
            yield f"{name:33} {low:+12,.0f} {middle:+12,.0f} {high:+12,.0f}"
    if "events" in result:
        yield ""
        yield from (f"{title:50} {value}" for title, value in figures(result))


def figures(result: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What is one number each."""
    events, start = result["events"], result["start"]
    yield "agent, instructions per exported event", f"{events['agent_ns_per_event']:,}"
    yield (
        "bytes per event / of an exec's line",
        f"{events['bytes_per_event']:,} / {events['bytes_per_exec']:,}",
    )
    yield f"events of {events['operations']:,} execs in a row", f"{events['events']:,}"
    yield "of these execs lost / reported as lost", f"{events['lost']:,} / {events['reported_lost']:,}"
    yield "start to first event, instructions", f"{start['first_event_ns']:,}"
    yield "of it the agent's own", f"{start['cpu_ns']:,}"
    yield "agent idle, instructions per second", f"{result['idle_ns_per_s']:,}"
    for when, memory in (("idle", result["memory_idle"]), ("after the loads", result["memory_after"])):
        yield f"PSS without ring buffers, {when}", f"{memory['pss_kb'] / 1024:.1f} MiB"
    yield "largest resident set", f"{result['memory_after']['peak_rss_kb'] / 1024:.1f} MiB"
    for what in ("maps", "programs"):
        yield f"BPF {what}", f"{result[what]['count']} of {result[what]['bytes'] / 1024:,.0f} KiB"


if __name__ == "__main__":
    sys.exit(main())
