# SPDX-License-Identifier: Apache-2.0
"""An ordinary machine at work, inside the guest: packages, a build, a web server, jobs of cron, containers
(vmtest/benign/). None of it may give a detection of level high or above: for those people are woken up.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).resolve().parent / "benign"
PLACE = Path("/srv/work")
TASK_S = 600.0


def work(seconds: float) -> list[dict[str, Any]]:
    """Does all tasks again and again for so long; how often, and with which exit statuses."""
    PLACE.mkdir(parents=True)
    tasks = sorted(SCRIPTS.glob("*.sh"))
    done: dict[str, list[int]] = {task.stem: [] for task in tasks}
    end = time.monotonic() + seconds
    with cron():
        while time.monotonic() < end:
            for task in tasks:
                if time.monotonic() < end:
                    done[task.stem].append(run(task))
    ended = time.time_ns()
    said = (PLACE / "out").read_text(errors="replace")[-3000:]
    jobs = {"task": "cron", "times": int((PLACE / "job.python").exists()), "statuses": [], "output": said}
    rows = [{"task": name, "times": len(all), "statuses": sorted(set(all))} for name, all in done.items()]
    return [{**row, "ended_ns": ended} for row in (*rows, jobs)]


def run(task: Path) -> int:
    """One script, below PLACE; what it says goes to a file. Its exit status, 124 when it took too long."""
    with (PLACE / "out").open("ab") as out:
        out.write(f"== {task.stem}\n".encode())
        out.flush()
        try:
            return subprocess.run(
                ["/bin/sh", task], cwd=PLACE, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=TASK_S
            ).returncode
        except subprocess.TimeoutExpired:
            return 124


@contextlib.contextmanager
def cron() -> Iterator[None]:
    """busybox's cron daemon, with jobs every minute."""
    tables = PLACE / "crontabs"
    tables.mkdir()
    shutil.copy(SCRIPTS / "crontab", tables / "root")
    process = subprocess.Popen(
        ["/bin/busybox", "crond", "-f", "-c", str(tables)],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait()
