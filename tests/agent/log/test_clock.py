# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.log.clock import SECOND_NS, WallClock

NEW_YEAR = 1_767_225_600 * SECOND_NS
"""2026-01-01T00:00:00Z."""


class Clocks:
    """The machine's two clocks: they stand still, and reading them takes `delays_ns`, one after the other."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.boot = 100 * SECOND_NS
        self.wall = NEW_YEAR + 100 * SECOND_NS
        self.delays_ns: list[int] = []
        monkeypatch.setattr(time, "clock_gettime_ns", self._read_boot)
        monkeypatch.setattr(time, "time_ns", self._read_wall)

    def pass_(self, nanoseconds: int) -> None:
        self.boot += nanoseconds
        self.wall += nanoseconds

    def _read_boot(self, clock: int) -> int:
        assert clock == time.CLOCK_BOOTTIME
        return self.boot

    def _read_wall(self) -> int:
        wall = self.wall
        self.pass_(self.delays_ns.pop(0) if self.delays_ns else 0)
        return wall


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    return Clocks(monkeypatch)


def test_a_stamp_of_the_boot_clock_becomes_wall_time(clocks: Clocks) -> None:
    clock = WallClock()
    assert clock.text(0) == "2026-01-01T00:00:00.000000000Z"
    assert clock.text(86_400 * SECOND_NS + 1) == "2026-01-02T00:00:00.000000001Z"
    assert clock.wall_ns(5) == NEW_YEAR + 5


def test_stamps_may_go_back_and_forth(clocks: Clocks) -> None:
    clock = WallClock()
    assert clock.text(2 * SECOND_NS) > clock.text(SECOND_NS + 999_999_999) > clock.text(SECOND_NS)


@pytest.mark.parametrize("step_ns", [3600 * SECOND_NS, -3600 * SECOND_NS, 1])
def test_a_clock_step_moves_what_comes_after_it(clocks: Clocks, step_ns: int) -> None:
    clock = WallClock()
    clocks.wall += step_ns
    assert clock.wall_ns(0) == NEW_YEAR
    assert clock.measure() == step_ns
    assert clock.wall_ns(0) == NEW_YEAR + step_ns


def test_time_that_passes_on_both_clocks_is_no_step(clocks: Clocks) -> None:
    clock = WallClock()
    clocks.pass_(10**15)
    assert (clock.measure(), clock.wall_ns(0)) == (0, NEW_YEAR)


def test_a_small_move_can_be_told_without_being_taken(clocks: Clocks) -> None:
    clock = WallClock()
    clocks.wall += 1000
    assert (clock.measure(5000), clock.wall_ns(0)) == (1000, NEW_YEAR)
    clocks.wall += 4000
    assert (clock.measure(5000), clock.wall_ns(0)) == (5000, NEW_YEAR + 5000)


def test_being_put_aside_while_reading_is_no_step(clocks: Clocks) -> None:
    clock = WallClock()
    clocks.delays_ns = [80_000_000, 0, 80_000_000]
    assert (clock.measure(), clock.wall_ns(0)) == (0, NEW_YEAR)
    clocks.delays_ns = [80_000_000, 70_000_000, 80_000_000]
    assert (clock.measure(), clock.wall_ns(0)) == (0, NEW_YEAR)


def test_a_step_larger_than_the_doubt_is_seen_while_being_put_aside(clocks: Clocks) -> None:
    clock = WallClock()
    clocks.wall += 3600 * SECOND_NS
    clocks.delays_ns = [80_000_000] * 3
    assert abs(clock.measure() - 3600 * SECOND_NS) <= 40_000_000


def test_the_real_clocks_agree_with_the_machine() -> None:
    clock = WallClock()
    before = time.time_ns()
    told = clock.wall_ns(time.clock_gettime_ns(time.CLOCK_BOOTTIME))
    assert before - 10 * SECOND_NS < told < time.time_ns() + 10 * SECOND_NS


@given(st.integers(0, 2**64 - 1))
def test_any_stamp_becomes_text_that_names_the_same_moment(boot_ns: int) -> None:
    clock = WallClock()
    clock.offset_ns = NEW_YEAR
    text = clock.text(boot_ns)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", text)
    moment = datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    assert int(moment.timestamp()) * SECOND_NS + int(text[20:29]) == NEW_YEAR + boot_ns
