# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.log.clock import SECOND_NS, WallClock
from agent.losses import LANES, LossLedger
from tests.agent.wire import SECOND


class Log:
    """Keeps what is recorded."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def record(self, kind: str, content: Mapping[str, object]) -> None:
        assert kind == "loss"
        self.records.append(dict(content))


def pipeline(bad_records: int = 0, chunks_missing: int = 0, unknown_hooks: int = 0) -> Any:
    return SimpleNamespace(
        bad_records=bad_records, chunks_missing=chunks_missing, unknown_hooks=unknown_hooks
    )


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def clock() -> WallClock:
    """Wall time is 2026-01-01 plus the boot clock."""
    clock = WallClock()
    clock.offset_ns = 1_767_225_600 * SECOND_NS
    return clock


@pytest.fixture
def ledger(log: Log, clock: WallClock, monkeypatch: pytest.MonkeyPatch) -> LossLedger:
    monkeypatch.setattr(time, "clock_gettime_ns", lambda _: 10 * SECOND)
    return LossLedger(log, clock)


def test_where_nothing_was_lost_nothing_is_written(ledger: LossLedger, log: Log) -> None:
    assert ledger.collect({}, pipeline()) == 0
    assert (log.records, ledger.by_cause(), ledger.total()) == ([], {}, 0)


def test_a_loss_says_what_where_how_much_and_when(ledger: LossLedger, log: Log) -> None:
    assert ledger.collect({("ring_full", "exec"): 3}, pipeline(), 12 * SECOND) == 3
    assert log.records == [
        {
            "cause": "ring_full",
            "lane": "lifecycle",
            "hook": "exec",
            "count": 3,
            "from": "2026-01-01T00:00:10.000000000Z",
            "to": "2026-01-01T00:00:12.000000000Z",
        }
    ]


def test_only_what_grew_since_the_last_look_is_written(ledger: LossLedger, log: Log) -> None:
    ledger.collect({("ring_full", "exec"): 3, ("shed", "exit"): 1}, pipeline(), 11 * SECOND)
    assert ledger.collect({("ring_full", "exec"): 5, ("shed", "exit"): 1}, pipeline(), 12 * SECOND) == 2
    assert (log.records[-1]["count"], log.records[-1]["from"]) == (2, "2026-01-01T00:00:11.000000000Z")
    assert (len(log.records), ledger.total()) == (3, 6)


def test_the_pipelines_own_losses_count_too(ledger: LossLedger, log: Log) -> None:
    ledger.collect({}, pipeline(bad_records=2, chunks_missing=1, unknown_hooks=3))
    assert [(r["cause"], r["hook"], r["count"]) for r in log.records] == [
        ("bad_record", "ring", 2),
        ("bad_record", "policy", 3),
        ("chunk_missing", "exec", 1),
    ]


@pytest.mark.parametrize("hook", ["exec", "fork", "exit", "chunk", "flood", "privileges", "policy"])
def test_bulk_hooks_are_in_the_bulk_lane(ledger: LossLedger, log: Log, hook: str) -> None:
    ledger.collect({("shed", hook): 1}, pipeline())
    assert log.records[0]["lane"] == ("bulk" if hook in ("chunk", "flood", "policy") else "lifecycle")
    assert set(LANES.values()) == {"bulk"}


def test_a_counter_that_went_back_loses_nothing(ledger: LossLedger) -> None:
    ledger.collect({("recursion", "exec"): 9}, pipeline())
    assert ledger.collect({("recursion", "exec"): 4}, pipeline()) == 0
    assert ledger.by_cause() == {"recursion": 9}


def test_causes_are_summed_over_hooks(ledger: LossLedger) -> None:
    ledger.collect({("ring_full", "exec"): 3, ("ring_full", "fork"): 4, ("shed", "exit"): 1}, pipeline())
    assert ledger.by_cause() == {"ring_full": 7, "shed": 1}


def test_recent_losses_are_those_of_the_last_minute(
    ledger: LossLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    for second, total in ((0, 5), (50, 7), (59, 7), (61, 7), (109, 7), (111, 7)):
        monkeypatch.setattr(time, "monotonic", lambda second=second: 1000.0 + second)
        ledger.collect({("ring_full", "exec"): total}, pipeline())
        seen.append(ledger.recent.get("ring_full", 0))
    assert seen == [5, 7, 7, 2, 2, 0]
    assert ledger.recent == {}


@given(st.lists(st.dictionaries(st.tuples(st.sampled_from("ab"), st.sampled_from("xy")), st.integers(0, 9))))
def test_everything_lost_is_written_once(growths: list[dict[tuple[str, str], int]]) -> None:
    log, totals = Log(), dict.fromkeys([(c, h) for c in "ab" for h in "xy"], 0)
    ledger = LossLedger(log, WallClock())
    for growth in growths:
        for key, count in growth.items():
            totals[key] += count
        ledger.collect(totals, pipeline())
    assert sum(record["count"] for record in log.records) == sum(totals.values()) == ledger.total()


def test_what_is_lost_while_the_counters_are_read_lies_within_the_next_record(
    log: Log, ledger: LossLedger
) -> None:
    now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    ledger.collect({("ring_full", "exec"): 1}, pipeline(), now + 20, now + 10)
    ledger.collect({("ring_full", "exec"): 2}, pipeline(), now + 40, now + 30)
    assert log.records[1]["from"] < log.records[0]["to"] < log.records[1]["to"]
