# SPDX-License-Identifier: Apache-2.0
"""How long a hunt takes over a large log:

    python -m tests.bench.hunted [--events 10000000] [--keep DIR] [RULE...]

Records a shell's work with a real agent (programs with command lines that differ, one in ten execs reads
password hashes), compacts it, repeats it as often as is asked for (tests/bench/storeload.py) and hunts: with
the library, or with the rules named. Prints JSON: seconds of wall and CPU time, with the command's start and
output.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from agent.log.compaction import place
from agent.log.manifest import Compaction
from agent.store.layout import index_path
from tests.bench.storeload import grow
from tests.e2e.support import start_agent

ROOT = Path(__file__).resolve().parents[2]
WORK = """\
n=0
while [ $n -lt 3000 ]; do
    n=$((n + 1))
    for word in one two three four; do /bin/echo "$word $n" >/dev/null; /bin/true --name "$word"; done
    /usr/bin/env LANG=C /bin/echo "$n"
    /bin/cat /etc/shadow
done >/dev/null
"""
"""Nine execs and one more of env's a turn: one reads hashes."""


def main() -> None:
    """Makes a log, or takes one that was kept, and hunts once."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rules", nargs="*", default=[str(ROOT / "rules")], metavar="RULE")
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--keep", type=Path, help="where the log stays, and is taken from if it is there")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("needs root")
    with tempfile.TemporaryDirectory(prefix="hunted-") as name:
        root = (options.keep or Path(name)).resolve()
        log = root / "var/lib/tracehound/log"
        if not log.is_dir():
            root.mkdir(parents=True, exist_ok=True)
            make(root, log, options.events)
        print(json.dumps(hunted(log, options.rules)))


def make(root: Path, log: Path, events: int) -> None:
    """A log of so many events."""
    agent = start_agent(root)
    try:
        subprocess.run(["/bin/sh", "-c", WORK], check=True)
    finally:
        agent.process.send_signal(signal.SIGINT)
        agent.process.wait(120)
    words = [sys.executable, "-m", "agent.store.compact", str(log)]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    accounts = [Compaction.parse(line.encode()) for line in told.splitlines()]
    for account in accounts:
        place(log, account.segment)
        (log / account.segment).unlink()
    recorded = sum(account.rows for account in accounts)
    print(f"{recorded:,} events are recorded", file=sys.stderr)
    grow(log, max(0, round(events / recorded) - 1))


def rows(log: Path) -> int:
    """Events in the store."""
    with closing(sqlite3.connect(index_path(log))) as db:
        (found,) = db.execute("SELECT sum(rows) FROM segments").fetchone()
    return int(found)


def hunted(log: Path, rules: list[str]) -> dict[str, Any]:
    """One hunt."""
    command = [sys.executable, "-m", "agent.cli.main", "rules", "hunt"]
    words = [*command, *rules, "--log-dir", str(log), "-o", "json"]
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    told = json.loads(subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout)
    wall, after = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "events": rows(log),
        "hits": sum(told["counts"].values()),
        "wall_s": round(wall, 1),
        "cpu_s": round(cpu, 1),
        "peak_mib": after.ru_maxrss >> 10,
    }


if __name__ == "__main__":
    main()
