# SPDX-License-Identifier: Apache-2.0
"""The event log on one core, in CPU time: append with hashing, the hash alone, verify; events as captured."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

import pytest

from agent.enrich.describe import Describer
from agent.enrich.tree import ProcessTree
from agent.log.clock import WallClock
from agent.log.encode import Encoder
from agent.log.records import Line, SegmentFacts
from agent.log.verify import verify
from agent.log.writer import LogWriter
from agent.pipeline import Pipeline
from agent.settings import LogSettings

pytestmark = pytest.mark.bench
_BATCH = 512
_BATCHES = 200


@pytest.fixture(scope="session")
def lines(capture: list[bytes]) -> list[Line]:
    """A batch of events as the pipeline hands them over."""
    stages = Pipeline(ProcessTree("bench", 131072), Describer(None), Encoder("bench"), WallClock())
    return list(stages.batch(capture))[-_BATCH:]


@pytest.fixture(autouse=True)
def cpu_time(benchmark: Any) -> None:
    """Other work on the machine does not count."""
    benchmark._timer = time.process_time


def write(directory: Path, lines: list[Line]) -> LogWriter:
    settings = LogSettings(dir=str(directory), group="", fsync_seconds=-1)
    writer = LogWriter(settings, SegmentFacts("bench", "boot", "", "kernel", "0"))
    writer.open()
    for _ in range(_BATCHES):
        writer.append(lines)
    writer.tick()
    writer.close("done")
    return writer


def tell(benchmark: Any, lines: list[Line]) -> None:
    events = _BATCH * _BATCHES
    size = sum(len(head) + len(tail) + 6 for head, tail in lines) / len(lines)
    print(f"\n{events / benchmark.stats['median']:,.0f} events per CPU second, {size:.0f} bytes each")


def test_append(benchmark: Any, lines: list[Line], tmp_path: Path) -> None:
    rounds = iter(range(100))
    benchmark.pedantic(lambda: write(tmp_path / str(next(rounds)), lines), rounds=5, warmup_rounds=1)
    tell(benchmark, lines)


def test_hash_alone(benchmark: Any, lines: list[Line]) -> None:
    data = b"".join(head + b"123456" + tail for head, tail in lines)

    def run() -> None:
        digest = hashlib.sha256()
        for _ in range(_BATCHES):
            digest.update(data)

    benchmark.pedantic(run, rounds=5, warmup_rounds=1)
    tell(benchmark, lines)


def test_verify(benchmark: Any, lines: list[Line], tmp_path: Path) -> None:
    write(tmp_path / "log", lines)
    verdict = benchmark.pedantic(lambda: verify(tmp_path / "log"), rounds=5, warmup_rounds=1)
    assert not verdict.faults
    tell(benchmark, lines)
