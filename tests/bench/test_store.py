# SPDX-License-Identifier: Apache-2.0
"""Compaction, trees and executions as commands of their own, in CPU seconds (start included) and memory.

TRACEHOUND_BENCH_LOG names a directory with recorded segments to take instead of a short capture, and
TRACEHOUND_BENCH_COPIES how often the compacted log is repeated for the queries (tests/bench/storeload.py).
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from agent.enrich.describe import Describer
from agent.enrich.tree import ProcessTree
from agent.log.clock import WallClock
from agent.log.compaction import place
from agent.log.encode import Encoder
from agent.log.manifest import Compaction
from agent.log.records import SegmentFacts
from agent.log.segments import list_segments
from agent.log.writer import LogWriter
from agent.pipeline import Pipeline
from agent.settings import LogSettings
from agent.store.answers import Process
from agent.store.queries import Store, executions

pytestmark = pytest.mark.bench
COPIES = int(os.environ.get("TRACEHOUND_BENCH_COPIES", "4"))
RECORDED = os.environ.get("TRACEHOUND_BENCH_LOG", "")


class Cost(NamedTuple):
    """Of one command."""

    cpu_s: float
    peak_bytes: int
    """Of the largest child so far."""
    output: str


def run(*argv: object) -> Cost:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    output = subprocess.run(
        [sys.executable, "-m", *map(str, argv)], capture_output=True, text=True, check=True
    ).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(cpu_s, after.ru_maxrss << 10, output)


def once(benchmark: Any, *argv: object) -> Cost:
    """As `run`; `make bench` leaves out what does not use the fixture."""
    cost: Cost = benchmark.pedantic(lambda: run(*argv), rounds=1)
    return cost


def record(capture: list[bytes], directory: Path) -> None:
    """A log of the captured events, its segments closed."""
    stages = Pipeline(ProcessTree("bench", 131072), Describer(None), Encoder("bench"), WallClock())
    settings = LogSettings(dir=str(directory), group="", fsync_seconds=-1)
    for _ in range(2):
        writer = LogWriter(settings, SegmentFacts("bench", "boot", "", "kernel", "0"))
        writer.open()
        writer.append(list(stages.batch(capture)))
        writer.tick()
        writer.close("done")


@pytest.fixture(scope="module")
def compacted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log whose closed segments are in the store; what that took is printed."""
    pytest.importorskip("pyarrow")
    directory = tmp_path_factory.mktemp("store") / "log"
    if RECORDED:
        shutil.copytree(RECORDED, directory, ignore=shutil.ignore_patterns("store", "manifest*", "*.lock"))
        last = list_segments(directory)[-1]  # counts as closed when there is another one
        (directory / str(last._replace(first_sequence=last.first_sequence + 10**9))).touch()
    else:
        record(request.getfixturevalue("capture"), directory)
    start = run("agent.store.compact", directory, "--older-than", 1e9)
    size = sum(path.stat().st_size for path in directory.glob("*.jsonl"))
    cost = run("agent.store.compact", directory)
    accounts = [Compaction.parse(line.encode()) for line in cost.output.splitlines()]
    for account in accounts:
        place(directory, account.segment)
        (directory / account.segment).unlink()
    rows = sum(account.rows for account in accounts)
    stored = sum(path.stat().st_size for path in (directory / "store").iterdir())
    million_s = (cost.cpu_s - start.cpu_s) / rows * 1e6
    print(
        f"\n{rows:,} events of {size / rows:.0f} bytes: {million_s:.1f} s of CPU per million,"
        f" {start.cpu_s:.2f} s per start; {cost.peak_bytes >> 20} MB; {stored / rows:.1f} bytes per event"
    )
    return directory


@pytest.fixture(scope="module")
def grown(compacted: Path) -> Path:
    """The same, many times."""
    rows = int(run("tests.bench.storeload", compacted, COPIES).output)
    print(f"\n{rows:,} events")
    return compacted


def most_run(directory: Path) -> Process:
    """Of the last program that was started."""
    found = executions(Store(directory), "/*")
    return found.processes[-1]


def test_executions_of_a_binary(benchmark: Any, grown: Path) -> None:
    program = most_run(grown)
    cost = once(benchmark, "agent.cli.main", "executions", "--log-dir", grown, "--binary", program.binary)
    print(f"\nexecutions: {cost.cpu_s:.2f} s of CPU, {len(cost.output.splitlines()):,} lines")
    assert program.binary in cost.output


def test_a_tree(benchmark: Any, grown: Path) -> None:
    program = most_run(grown)
    cost = once(benchmark, "agent.cli.main", "tree", "--log-dir", grown, "--exec-id", program.exec_id)
    print(f"\ntree: {cost.cpu_s:.2f} s of CPU, {len(cost.output.splitlines()):,} lines")
    assert program.binary in cost.output
