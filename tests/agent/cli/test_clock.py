# SPDX-License-Identifier: Apache-2.0
"""Local times and differences."""

from __future__ import annotations

import time

import pytest

from agent.cli.clock import Clock, seconds_between
from agent.cli.when import as_log_time


def test_another_day_is_shown_with_its_date() -> None:
    assert Clock()("2026-01-02T03:04:05.678901234Z") == "01-02 03:04:05.678"


def test_today_is_shown_without_date() -> None:
    now = as_log_time(time.time_ns())
    assert Clock()(now) == now[11:23]


def test_a_full_time_has_date_and_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "IST-5:30")
    time.tzset()
    assert Clock(full=True)("2026-01-02T03:04:05.678901234Z") == "2026-01-02T08:34:05.678+0530"


def test_times_of_one_second_share_the_work_and_differ_in_their_fraction() -> None:
    clock = Clock()
    assert clock("2026-01-02T03:04:05.1Z")[-3:] != clock("2026-01-02T03:04:05.999000000Z")[-3:]
    assert clock("2026-01-02T03:04:05Z") == "01-02 03:04:05.000"


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-45T99:99:99Z\n", "\x1b[2J2026", "9999999-01-01"])
def test_what_is_no_time_does_not_reach_the_terminal(text: str) -> None:
    assert Clock()(text).isprintable()


def test_the_fraction_cannot_smuggle_anything_in() -> None:
    clock = Clock()
    clock("2026-01-02T03:04:05.678901234Z")
    assert clock("2026-01-02T03:04:05\x1b[2J") == "01-02 03:04:05.000"


def test_a_difference_crosses_minutes_days_and_years() -> None:
    assert seconds_between("2026-01-01T00:00:00.250000000Z", "2026-01-01T00:00:01.750000000Z") == 1.5
    assert seconds_between("2025-12-31T23:59:59.500000000Z", "2026-01-01T00:01:00.000000000Z") == 60.5
    assert seconds_between("2026-01-01T00:00:00Z", "2026-01-01T00:00:02Z") == 2


def test_a_difference_of_what_is_no_time_is_none() -> None:
    assert seconds_between("", "2026-01-01T00:00:02Z") is None
    assert seconds_between("2026-01-01T00:00:02Z", "x" * 30) is None
