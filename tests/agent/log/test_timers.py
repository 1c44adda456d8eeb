# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable

import pytest

from agent.log.timers import Timers
from agent.settings import LogSettings

from .conftest import Clock

MakeTimers = Callable[[LogSettings], Timers]


@pytest.fixture
def timers(clock: Clock) -> MakeTimers:
    return lambda settings: Timers(settings, clock.wall_ns, clock.monotonic)


def test_a_sync_is_due_once_in_its_interval(timers: MakeTimers, clock: Clock) -> None:
    made = timers(LogSettings(fsync_seconds=1.0))
    assert not made.sync_due()
    clock.pass_(1.0)
    assert [made.sync_due(), made.sync_due()] == [True, False]


def test_a_negative_interval_never_syncs(timers: MakeTimers, clock: Clock) -> None:
    made = timers(LogSettings(fsync_seconds=-1))
    clock.pass_(10**6)
    assert not made.sync_due()


def test_a_segment_grows_old_by_the_clock_that_never_steps(timers: MakeTimers, clock: Clock) -> None:
    made = timers(LogSettings(segment_seconds=60))
    clock.step(3600)
    assert not made.segment_is_old()
    clock.pass_(60)
    assert made.segment_is_old()
    made.segment_begun()
    assert not made.segment_is_old()


def test_a_clock_that_is_set_back_is_noticed_once(timers: MakeTimers, clock: Clock) -> None:
    made = timers(LogSettings())
    clock.step(-0.5)
    assert not made.clock_went_back()
    clock.step(-10)
    assert [made.clock_went_back(), made.clock_went_back()] == [True, False]


def test_a_clock_that_is_set_forward_ages_nothing(timers: MakeTimers, clock: Clock) -> None:
    made = timers(LogSettings())
    before = made.retention_ms()
    clock.step(365 * 86400)
    clock.pass_(5)
    assert made.retention_ms() == before + 5000


def test_retries_and_audits_have_their_pauses(timers: MakeTimers, clock: Clock) -> None:
    made = timers(LogSettings())
    assert [made.retry_due(), made.retry_due(), made.audit_due()] == [True, False, False]
    clock.pass_(30)
    assert [made.retry_due(), made.audit_due(), made.audit_due()] == [True, True, False]
