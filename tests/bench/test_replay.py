# SPDX-License-Identifier: Apache-2.0
"""User-space stages on captured bytes: decode, enrich, encode, append. Run by `make bench` only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.decode.record import Decoder
from agent.enrich.describe import Describer
from agent.enrich.redaction import Redactor, load_rules
from agent.enrich.tree import ProcessTree
from agent.log.clock import WallClock
from agent.log.encode import Encoder
from agent.log.reader import LogReader
from agent.log.records import SegmentFacts
from agent.log.writer import LogWriter
from agent.pipeline import Pipeline
from agent.settings import LogSettings

pytestmark = pytest.mark.bench
_BATCH = 512


def pipeline() -> Pipeline:
    """The product's pipeline, redaction included."""
    redactor = Redactor(load_rules(()), b"k" * 32)
    return Pipeline(ProcessTree("bench", 131072), Describer(redactor), Encoder("bench"), WallClock())


def batches(records: list[bytes]) -> list[list[bytes]]:
    """As the ring gives them."""
    return [records[at : at + _BATCH] for at in range(0, len(records), _BATCH)]


def test_decode(benchmark: Any, capture: list[bytes]) -> None:
    def run() -> None:
        decode = Decoder()
        for raw in capture:
            decode(raw)

    benchmark.pedantic(run, rounds=7, warmup_rounds=1)
    benchmark.extra_info["records"] = len(capture)


def test_decode_enrich_encode(benchmark: Any, capture: list[bytes]) -> None:
    def run() -> int:
        stages = pipeline()
        return sum(len(stages.batch(batch)) for batch in batches(capture))

    lines = benchmark.pedantic(run, rounds=7, warmup_rounds=1)
    benchmark.extra_info["events"] = lines


def test_decode_enrich_encode_append(benchmark: Any, capture: list[bytes], log_dir: Path) -> None:
    """The figure of docs/performance.md: events per second through all stages, on one core."""
    log = LogWriter(LogSettings(dir=str(log_dir)), SegmentFacts("bench", "boot", "", "kernel", "0"))
    log.open()
    stages: list[Pipeline] = []

    def fresh() -> None:
        stages.append(pipeline())

    def run() -> int:
        stage = stages.pop()
        return sum(log.append(stage.batch(batch)) for batch in batches(capture))

    lines = benchmark.pedantic(run, setup=fresh, rounds=7, warmup_rounds=1)
    log.close("bench")
    benchmark.extra_info["events"] = lines
    benchmark.extra_info["events_per_second"] = round(lines / benchmark.stats.stats.median)
    check_complete(log_dir, lines)


def check_complete(log_dir: Path, lines: int) -> None:
    """Sequences are gapless and every event of the last round carries its ancestry."""
    seen, execs = 0, 0
    for entry in LogReader(str(log_dir)).read():
        assert entry.sequence == seen + 1
        seen = entry.sequence
        if "process_exec" in entry.record:
            execs += 1
            assert len(entry.record["tracehound"]["ancestry"]) >= 1
    assert execs >= 4096 * 8
    assert seen >= lines * 8
