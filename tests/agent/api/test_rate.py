# SPDX-License-Identifier: Apache-2.0
from agent.api.rate import TOLD_S, Rate


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_passes_up_to_the_rate() -> None:
    rate = Rate(10, Clock())
    assert [rate.take(6), rate.take(6), rate.take(6)] == [6, 4, 0]


def test_tokens_come_with_time_and_no_more_than_a_seconds() -> None:
    clock = Clock()
    rate = Rate(10, clock)
    rate.take(10)
    clock.now = 0.5
    assert rate.take(10) == 5
    clock.now = 100
    assert rate.take(100) == 10


def test_less_than_one_a_second_is_a_rate() -> None:
    clock = Clock()
    rate = Rate(0.5, clock)
    passed = 0
    for clock.now in range(11):
        passed += rate.take(1)
    assert passed == 6


def test_what_was_held_back_is_told_now_and_then() -> None:
    clock = Clock()
    rate = Rate(1, clock)
    rate.take(5)
    assert rate.to_tell() == 0
    clock.now = TOLD_S
    assert (rate.owes, rate.to_tell(), rate.to_tell(), rate.owes) == (True, 4, 0, False)
