# SPDX-License-Identifier: Apache-2.0
from exporters.limits import Backoff, Bucket


def test_a_bucket_lets_a_burst_pass_and_then_the_rate() -> None:
    now = [0.0]
    bucket = Bucket(10, 3, lambda: now[0])
    assert [bucket.admit() for _ in range(5)] == [True, True, True, False, False]
    now[0] = 0.2
    assert [bucket.admit() for _ in range(3)] == [True, True, False]


def test_a_quiet_time_fills_a_bucket_no_further_than_its_burst() -> None:
    now = [0.0]
    bucket = Bucket(10, 3, lambda: now[0])
    now[0] = 100.0
    bucket.rest()
    assert sum(bucket.admit() for _ in range(10)) == 3


def test_pauses_double_up_to_the_longest() -> None:
    backoff = Backoff(0.5, 60, chance=lambda: 0.0)
    assert [backoff.next() for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]
    backoff.succeed()
    assert backoff.next() == 0.5


def test_a_pause_has_a_random_part_and_is_at_least_what_was_asked_for() -> None:
    assert Backoff(10, 60, chance=lambda: 1.0).next() == 5
    assert Backoff(0.5, 60).next(asked_s=7) == 7
    assert Backoff(0.5, 60).next(asked_s=1e9) == 3600
    assert Backoff(0.5, 60, chance=lambda: 0.0).next(longest=True) == 60
